import { expect, test } from "vitest";
import { systemClock } from "../inband/clock.ts";
import { NoBmcError } from "../inband/openipmi/open-bmc.ts";
import { ConfigError, UsageError } from "./config/config-error.ts";
import { DocumentUnavailableError } from "./config/fetch-document.ts";
import type { Settings } from "./config/settings.ts";
import { openConsole } from "./console.ts";
import { explainFailure } from "./failure.ts";
import { NetworkError } from "./init/network/bring-up.ts";
import { failedEnd, performRun, RunLimitError, sayingTrouble } from "./perform-run.ts";
import { StepError } from "./step.ts";
import { defaultLimits, type World } from "./world.ts";

/** A world in which nothing works, with what the test puts in its place. */
function world(working: Partial<World>): World {
  const broken = (what: string) => () => Promise.reject(new Error(`${what} is broken`));
  return {
    readSmbios: broken("SMBIOS"),
    openBmc: () => Promise.reject(new NoBmcError([])),
    connectService: broken("service"),
    readBootId: broken("boot id"),
    gatherInventory: broken("inventory"),
    randomBelow: () => 0,
    clock: systemClock,
    note: () => undefined,
    settings: { agentVersion: "test", rotate: false, limits: defaultLimits },
    ...working,
  };
}

async function play(working: Partial<World>, limitMs = 10_000, ends?: AbortSignal) {
  const settings = { limitMs } as Settings;
  const lines: string[] = [];
  const console = await openConsole("text", { write: (line) => lines.push(line), colours: false });
  return { ended: await performRun(settings, console, world(working), ends), lines };
}

test("a bug is shown with its stack and exit code 70", async () => {
  const { ended, lines } = await play({});
  expect(ended).toMatchObject({ outcome: "error", exitCode: 70 });
  expect(ended.text).toContain("Error: SMBIOS is broken\n    at ");
  expect(lines.at(-1)).toMatch(/^run ended: error, exit code 70, \d+ ms$/);
});

test("the limit of the whole run ends the step that hangs: exit code 75", async () => {
  const { ended } = await play(
    {
      readSmbios: (signal) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
    },
    50,
  );
  expect(ended).toMatchObject({ exitCode: 75 });
  expect(ended.text).toContain("the run took longer than its limit of 0.05 s");
});

test("the limit of the whole run, while something is waited for: the last trouble is told, and exit code 75 stays", async () => {
  const readSmbios: World["readSmbios"] = (signal) =>
    sayingTrouble((onTrouble) => {
      for (const trouble of ["no answer", "10.0.0.1:9: refused"]) onTrouble(trouble);
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
  const { ended } = await play({ readSmbios }, 50);
  expect(ended).toMatchObject({ exitCode: 75 });
  expect(ended.text).toMatch(
    /^identify machine: 10\.0\.0\.1:9: refused; the run took longer than its limit of 0\.05 s/,
  );
});

test("another end of a wait is told as it is, with or without trouble before it", async () => {
  const refusal = new Error("refused");
  const work = (onTrouble: (trouble: string) => void) => {
    onTrouble("no answer");
    return Promise.reject(refusal);
  };
  await expect(sayingTrouble(work)).rejects.toBe(refusal);
  const limit = new RunLimitError(1000);
  await expect(sayingTrouble(() => Promise.reject(limit))).rejects.toBe(limit);
});

test("what nobody caught elsewhere ends the run that is under way: exit code 70, so that the init tries again", async () => {
  const bug = new AbortController();
  const readSmbios: World["readSmbios"] = (signal) =>
    new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      bug.abort(new Error("boom"));
    });
  const { ended } = await play({ readSmbios }, 10_000, bug.signal);
  expect(ended).toMatchObject({ exitCode: 70, text: expect.stringContaining("boom") });
});

test.each([
  [new ConfigError("document x", "log", "bad"), 78, "document x: log: bad"],
  [new UsageError("--log", "bad"), 64, "--log: bad"],
  [new NetworkError("network: no address"), 69, "network: no address"],
  [new DocumentUnavailableError("document x: not read"), 69, "document x: not read"],
  [new StepError("begin", new RunLimitError(1000)), 75, "begin: the run took longer"],
])("%s", (error, exitCode, text) => {
  expect(explainFailure(error)).toMatchObject({ exitCode, text: expect.stringContaining(text) });
});

test("what is thrown may be anything; causes are shown too", () => {
  expect(failedEnd("text", 0)).toMatchObject({ outcome: "error", exitCode: 70 });
  const { text } = explainFailure(new Error("outer", { cause: new Error("inner") }));
  expect(text).toMatch(/Error: outer.*caused by Error: inner/s);
});
