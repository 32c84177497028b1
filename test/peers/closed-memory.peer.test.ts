import { spawn } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { artifacts } from "../lab/artifacts.ts";
import { pause } from "../lab/deadline.ts";

/** Somebody who is not root, as whom root starts the program: whose files its memory is then tells whether it is closed. */
const nobody = 65_534;
const asWhom = process.getuid?.() === 0 ? { uid: nobody, gid: nobody } : {};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "closed-memory-"));
  chmodSync(folder, 0o755);
  // nobody may not be allowed into the checkout
  if (existsSync(artifacts.metalRivet)) copyFileSync(artifacts.metalRivet, join(folder, "metal-rivet"));
  writeFileSync(join(folder, "cmdline"), "rivet.config=http://127.0.0.1:1/c rivet.service_limit=30\n");
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The program waits for its document, which nobody serves. */
async function started() {
  const child = spawn(join(folder, "metal-rivet"), ["run", "--cmdline", join(folder, "cmdline")], {
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
  await hasSaid("try 2 in");
  return {
    pid: child.pid ?? 0,
    said: () => said,
    hasSaid,
    ended,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}

test("the agent's memory is root's alone, and no core is written of it", async () => {
  using agent = await started();
  // proc(5): the files of a process that is not dumpable belong to root
  expect(statSync(`/proc/${agent.pid}/environ`).uid).toBe(0);
});

test("no signal opens a debugger or writes the memory down", async () => {
  using agent = await started();
  agent.kill("SIGUSR1");
  await agent.hasSaid("try 3 in");
  expect(agent.said()).not.toMatch(/debugger/i);
  agent.kill("SIGUSR2");
  expect(await agent.ended).toBe("SIGUSR2");
});
