import { unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { plainEnvironment } from "./child.ts";

/** An account on a BMC that listens on 127.0.0.1. */
export interface ForeignLogin {
  readonly lanPort: number;
  /** 3 by default. */
  readonly cipherSuite?: 3 | 17;
  readonly userName: string;
  readonly password: string;
  /** For a file with the password: mode 0600, removed as soon as the client has ended. */
  readonly directory: string;
}

export interface ForeignResult {
  readonly exitCode: number | undefined;
  /** Standard output and error. */
  readonly output: string;
}

/** Runs `ipmitool -I lanplus` with the account. The password goes through a file, never through argv or environment. */
export async function ipmitool(login: ForeignLogin, args: readonly string[]): Promise<ForeignResult> {
  return await withPasswordFile(login, login.password, (file) =>
    run("ipmitool", [...ipmitoolLogin(login, file), ...args]),
  );
}

/** The arguments with which ipmitool logs in. */
export function ipmitoolLogin(login: ForeignLogin, passwordFile: string): readonly string[] {
  const target = ["-H", "127.0.0.1", "-p", String(login.lanPort)];
  return ["-I", "lanplus", "-C", String(login.cipherSuite ?? 3), ...target, "-U", login.userName, "-f", passwordFile];
}

/** Runs a program of FreeIPMI (bmc-info, ipmipower, ipmi-config) with the account, which it reads from a configuration file. */
export async function freeipmi(
  program: string,
  login: ForeignLogin,
  args: readonly string[],
  privilege: "ADMIN" | "OPERATOR" | "USER" = "ADMIN",
): Promise<ForeignResult> {
  const config = [
    `username ${login.userName}`,
    `password ${login.password}`,
    "driver-type LAN_2_0",
    `cipher-suite-id ${login.cipherSuite ?? 3}`,
    `privilege-level ${privilege}`,
    "",
  ].join("\n");
  return await withPasswordFile(login, config, async (file) =>
    // ipmi_sim tells privilege 0 in its Open Session Response, which FreeIPMI takes for a refusal without this flag.
    run(program, [`--config-file=${file}`, "-h", `127.0.0.1:${login.lanPort}`, "-W", "opensesspriv", ...args]),
  );
}

/** Has a file with `content`, mode 0600, for as long as it is used. */
export async function withPasswordFile<T>(
  login: ForeignLogin,
  content: string,
  use: (file: string) => Promise<T>,
): Promise<T> {
  const file = join(login.directory, `login-${process.hrtime.bigint()}`);
  writeFileSync(file, content, { mode: 0o600, flag: "wx" });
  try {
    return await use(file);
  } finally {
    unlinkSync(file);
  }
}

async function run(program: string, args: readonly string[]): Promise<ForeignResult> {
  const done = await execa(program, args, {
    reject: false,
    all: true,
    timeout: 30_000,
    stdin: "ignore",
    extendEnv: false,
    env: plainEnvironment(),
  });
  return { exitCode: done.exitCode, output: done.all };
}
