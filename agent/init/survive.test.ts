import { EventEmitter } from "node:events";
import { expect, test } from "vitest";
import { survive } from "./survive.ts";

function surviving() {
  const said: string[] = [];
  const from = new EventEmitter();
  const say = (text: string): void => void said.push(text);
  return { said, from, bugs: survive(from, () => ({ note: say, problem: say })) };
}

test.each(["uncaughtException", "unhandledRejection"])("%s is shown, and ends the run that is under way", (event) => {
  const { said, from, bugs } = surviving();
  const first = bugs.nextRun();
  from.emit(event, new Error("boom"));
  expect(said).toEqual([expect.stringMatching(/^a bug of metal-rivet: Error: boom\n\s+at /)]);
  expect(first.reason).toMatchObject({ message: "boom" });
  expect(bugs.nextRun().aborted).toBe(false);
});

test("what is thrown need not be an error", () => {
  const { from, bugs } = surviving();
  const run = bugs.nextRun();
  from.emit("unhandledRejection", undefined);
  expect(run.reason).toBeInstanceOf(Error);
});

test("a signal is answered, and ends nothing", () => {
  const { said, from, bugs } = surviving();
  const run = bugs.nextRun();
  from.emit("SIGTERM");
  expect(said).toEqual(["SIGTERM: an init does not end; use the machine's power button"]);
  expect(run.aborted).toBe(false);
});
