import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { keepLogsOnly, makeLabDirectory } from "./lab-directory.ts";

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "metal-rivet-directory-"));
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

test("what a killed lab left behind is removed, a running one and kept logs are not", () => {
  const running = makeLabDirectory(parent);
  const killed = join(parent, "metal-rivet-lab-killed");
  const logs = join(parent, "metal-rivet-lab-logs");
  for (const directory of [killed, logs]) mkdirSync(directory);
  // This process's number with another start time: the number was given out again.
  writeFileSync(join(killed, "owner"), `${process.pid} 1\n`);
  writeFileSync(join(logs, "serial.log"), "text");
  makeLabDirectory(parent);
  expect([running, killed, logs].map((directory) => existsSync(directory))).toEqual([true, false, true]);
});

test("of a lab that failed only the logs stay", () => {
  const directory = makeLabDirectory(parent);
  mkdirSync(join(directory, "pki"));
  writeFileSync(join(directory, "pki/agent.key"), "secret");
  writeFileSync(join(directory, "service.log"), "text");
  keepLogsOnly(directory);
  expect(readdirSync(directory, { recursive: true }).sort()).toEqual(["pki", "service.log"]);
});
