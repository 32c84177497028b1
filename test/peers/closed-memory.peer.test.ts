import { spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { initPki } from "../../bmc-service/pki/init-pki.ts";
import { artifacts } from "../lab/artifacts.ts";
import { pause } from "../lab/deadline.ts";

/** Somebody who is not root, as whom root starts the program: whose files its memory is then tells whether it is closed. */
const nobody = 65_534;
const asWhom = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "closed-memory-"));
  chmodSync(folder, 0o755);
  // nobody may not be allowed into the checkout
  for (const [name, path] of [
    ["metal-rivet", artifacts.metalRivet],
    ["bmc-service", artifacts.bmcService],
  ] as const) {
    if (existsSync(path)) copyFileSync(path, join(folder, name));
  }
  writeFileSync(join(folder, "cmdline"), "rivet.config=http://127.0.0.1:1/c rivet.service_limit=30\n");
  const pki = join(folder, "pki");
  await initPki({ out: pki, names: [], days: 1, force: false, now: new Date() });
  if ("uid" in asWhom) {
    chownSync(folder, nobody, nobody);
    for (const path of [pki, ...readdirSync(pki).map((name) => join(pki, name))]) chownSync(path, nobody, nobody);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

async function started(name: string, args: readonly string[], first: string) {
  const child = spawn(join(folder, name), args, {
    ...asWhom,
    env: { NODE_OPTIONS: "--inspect=127.0.0.1:0 --abort-on-uncaught-exception --heapsnapshot-signal=SIGUSR2" },
    cwd: "/",
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (said += data));
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once("exit", (_code, signal) => resolve(signal)));
  const hasSaid = async (text: string): Promise<void> => {
    for (let waitedMs = 0; !said.includes(text); waitedMs += 20) {
      expect(waitedMs, said).toBeLessThan(20_000);
      await pause(20);
    }
  };
  await hasSaid(first);
  return {
    pid: child.pid ?? 0,
    said: () => said,
    hasSaid,
    ended,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}

/** It waits for its document, which nobody serves. */
const startAgent = () => started("metal-rivet", ["run", "--cmdline", join(folder, "cmdline")], "try 2 in");
const startService = () => {
  const where = ["--listen", "127.0.0.1:0", "--data", join(folder, "data"), "--pki", join(folder, "pki")];
  return started("bmc-service", ["serve", ...where], '"listening"');
};

test("the agent's memory is root's alone, and no core is written of it", async () => {
  using agent = await startAgent();
  // proc(5): the files of a process that is not dumpable belong to root
  expect(statSync(`/proc/${agent.pid}/environ`).uid).toBe(0);
});

test("no signal opens a debugger or writes the memory down", async () => {
  using agent = await startAgent();
  agent.kill("SIGUSR1");
  await agent.hasSaid("try 3 in");
  expect(agent.said()).not.toMatch(/debugger/i);
  agent.kill("SIGUSR2");
  expect(await agent.ended).toBe("SIGUSR2");
});

describe("bmc-service, however it is started,", () => {
  test("has memory that is root's alone, and no core is written of it", async () => {
    using service = await startService();
    expect(statSync(`/proc/${service.pid}/environ`).uid).toBe(0);
    expect(readFileSync(`/proc/${service.pid}/limits`, "latin1")).toMatch(/^Max core file size +0 +0 /m);
  });

  test("opens no debugger by a signal or a variable, and writes no heap down", async () => {
    using service = await startService();
    service.kill("SIGUSR1");
    await pause(200);
    expect(service.said()).not.toMatch(/debugger/i);
    service.kill("SIGUSR2");
    expect(await service.ended).toBe("SIGUSR2");
  });
});
