import { expect, test } from "vitest";
import { openConsole, type RunEnd } from "../console.ts";
import { type AfterRunWorld, afterRun, rebootAfterFailureMs } from "./after-run.ts";

const linked: RunEnd = { outcome: "linked", exitCode: 0, text: "", durationMs: 1 };
const failed: RunEnd = { outcome: "error", exitCode: 69, text: "", durationMs: 1 };

async function play(afterwards: Parameters<typeof afterRun>[0], ended: RunEnd, broken = false) {
  const done: unknown[] = [];
  const act = (...what: unknown[]): void => {
    done.push(what);
    if (broken) throw new Error("EACCES");
  };
  const world: AfterRunWorld = {
    endMachine: (action) => act(action),
    execute: (path, { RIVET_OUTCOME, RIVET_EXIT_CODE }) => act(path, RIVET_OUTCOME, RIVET_EXIT_CODE),
    sleep: async (ms) => void done.push(["sleep", ms]),
  };
  const lines: string[] = [];
  await afterRun(
    afterwards,
    ended,
    await openConsole("text", { write: (line) => lines.push(line), colours: false }),
    world,
  );
  return { done, lines };
}

test("waiting does nothing; the others do what they say", async () => {
  expect((await play({ action: "wait" }, failed)).done).toEqual([]);
  expect((await play({ action: "poweroff" }, failed)).done).toEqual([["poweroff"]]);
  expect((await play({ action: "halt" }, linked)).done).toEqual([["halt"]]);
  expect((await play({ action: "exec", path: "/sbin/x" }, failed)).done).toEqual([["/sbin/x", "error", "69"]]);
});

test("a reboot after a failure waits, so that nothing loops in the dark", async () => {
  expect((await play({ action: "reboot" }, linked)).done).toEqual([["reboot"]]);
  expect((await play({ action: "reboot" }, failed)).done).toEqual([["sleep", rebootAfterFailureMs], ["reboot"]]);
});

test("what cannot be done is said, and the init stays", async () => {
  const { lines } = await play({ action: "exec", path: "/nope" }, linked, true);
  expect(lines.at(-1)).toBe("ERROR exec: EACCES; waiting instead");
});
