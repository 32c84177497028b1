import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { initPki } from "../../bmc-service/pki/init-pki.ts";
import { makeToken } from "../../bmc-service/tokens/token-text.ts";
import { artifacts, ensureBuilt } from "../lab/artifacts.ts";
import { until } from "../lab/deadline.ts";
import { filesHolding } from "./search.ts";

/* Programs that crash, and whoever would look into them from beside: no core, no memory. Root is not kept out. */

/** Somebody who is not root starts the programs, so that they could be looked into by the same person. */
const nobody = { uid: 65_534, gid: 65_534 };
const isRoot = process.getuid?.() === 0;
const asNobody = isRoot ? nobody : {};
const pattern = readFileSync("/proc/sys/kernel/core_pattern", "latin1").trim();
const elsewhere = /^[|/]/.test(pattern) ? ` (skipped: this machine's cores go to "${pattern}")` : "";
const token = makeToken().text.toString();

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "metal-rivet-core-"));
  await ensureBuilt(join(folder, "build.log"));
  // Nobody may not be allowed into the checkout.
  for (const program of [artifacts.metalRivet, artifacts.bmcService]) {
    copyFileSync(program, join(folder, program.split("/").at(-1) ?? ""));
  }
  await initPki({ out: join(folder, "pki"), names: [], days: 1, force: false, now: new Date() });
  const config = "rivet.config=http://127.0.0.1:1/none rivet.service_limit=60";
  writeFileSync(join(folder, "cmdline"), `${config} rivet.token=${token}`);
  chmodSync(folder, 0o755);
  if (isRoot) {
    for (const name of readdirSync(folder, { recursive: true }) as string[]) {
      chownSync(join(folder, name), nobody.uid, nobody.gid);
    }
  }
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Starts a program in a directory of its own with cores allowed, and waits for a word of it. */
async function start(name: string, command: readonly string[], word: string) {
  const directory = mkdtempSync(join(folder, "cwd-"));
  if (isRoot) chownSync(directory, nobody.uid, nobody.gid);
  const unlimited = ["-c", 'ulimit -c unlimited; exec "$@"', "sh"];
  const child = spawn("sh", [...unlimited, ...command], {
    cwd: directory,
    ...asNobody,
    env: { PATH: "/usr/bin:/bin" },
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (data: Buffer) => {
      said += data.toString("latin1");
    });
  }
  const ended = once(child, "exit");
  await until(`${name} to say "${word}"`, 30_000, () => {
    if (child.exitCode !== null) throw new Error(`${name} ended: ${said}`);
    return said.includes(word);
  });
  return {
    pid: child.pid ?? 0,
    directory,
    /** What is in its directory after it has crashed. */
    async crash(signal: NodeJS.Signals): Promise<string[]> {
      child.kill(signal);
      expect((await ended)[1]).toBe(signal);
      return readdirSync(directory);
    },
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}

const startAgent = () =>
  start("metal-rivet", [join(folder, "metal-rivet"), "run", "--cmdline", join(folder, "cmdline")], "; try 2");
const startService = () => {
  const where = ["--listen", "127.0.0.1:0", "--health", "127.0.0.1:0", "--data", "data", "--pki", join(folder, "pki")];
  return start("bmc-service", [join(folder, "bmc-service"), "serve", ...where], '"listening"');
};
/** A program that does not care, with a secret in its memory. */
const startCareless = () => start("sh", ["sh", "-c", "echo ready; read never <&1; : $0", token], "ready");
const programs = [
  ["metal-rivet run", startAgent],
  ["bmc-service serve", startService],
] as const;

const coresIn = (files: readonly string[]) => files.filter((name) => name.startsWith("core"));

describe.skipIf(elsewhere !== "")(`a crash${elsewhere}`, () => {
  test.each(["SIGABRT", "SIGSEGV"] as const)("by %s leaves a core of a program that does not care", async (signal) => {
    using careless = await startCareless();
    expect(coresIn(await careless.crash(signal))).toHaveLength(1);
    expect(filesHolding(token, careless.directory)).toContainEqual(expect.stringContaining("core"));
  });

  describe.each(programs)("of %s", (_name, startProgram) => {
    test.each(["SIGABRT", "SIGSEGV"] as const)("by %s leaves none", async (signal) => {
      using program = await startProgram();
      expect(coresIn(await program.crash(signal))).toEqual([]);
    });
  });
});

/** How a debugger that the same person starts fares; gcore begins in the same way. */
function attachTo(pid: number): string {
  const { stderr } = spawnSync("strace", ["-p", String(pid), "-e", "trace=none"], { ...asNobody, timeout: 1_000 });
  return stderr.toString();
}

describe.skipIf(!isRoot)(`a debugger of the same user${isRoot ? "" : " (skipped: not root)"}`, () => {
  test("gets into a program that does not care", async () => {
    using careless = await startCareless();
    expect(attachTo(careless.pid)).toContain("attached");
  });

  test.each(programs)("does not get into %s", async (_name, startProgram) => {
    using program = await startProgram();
    expect(attachTo(program.pid)).toContain("Operation not permitted");
    const looking = spawnSync("head", ["-c", "1", `/proc/${program.pid}/environ`], asNobody);
    expect(looking.stderr.toString()).toContain("Permission denied");
  });
});
