import { execa } from "execa";
import { plainEnvironment } from "./child.ts";
import { DeadlineError } from "./deadline.ts";
import { type ForeignLogin, ipmitoolLogin, withPasswordFile } from "./foreign-login.ts";

/** ipmi_sim connects to the machine's serial port every ten seconds; the firmware's first word comes seconds after a reset. */
const limitMs = 90_000;

/**
 * Reads a machine's serial port over its BMC's LAN, by `ipmitool sol activate`, until it says what is waited for.
 * @param begun called once the session stands: what is to make the machine say something
 * @returns all that it said
 * @throws DeadlineError with that if it does not say it within 90 s
 */
export async function serialOverLan(
  login: ForeignLogin,
  wanted: RegExp,
  begun: () => Promise<unknown>,
): Promise<string> {
  return await withPasswordFile(login, login.password, async (file) => {
    const command = ["ipmitool", ...ipmitoolLogin(login, file), "sol", "activate"].map((word) => `'${word}'`).join(" ");
    // ipmitool wants a terminal; script makes one, and keeps it for as long as its standard input is open.
    const client = execa("script", ["--quiet", "--command", command, "/dev/null"], {
      ...{ reject: false, all: true, stdin: "pipe", timeout: limitMs, extendEnv: false, env: plainEnvironment() },
    });
    let said = "";
    let started: Promise<unknown> | undefined;
    client.all.on("data", (chunk: Buffer) => {
      said += chunk.toString("latin1");
      if (said.includes("SOL Session operational")) started ??= begun();
      if (wanted.test(said)) client.kill();
    });
    await client;
    await started;
    if (!wanted.test(said)) throw new DeadlineError(`the serial port over LAN did not say ${wanted}:\n${said}`);
    return said;
  });
}
