import { expect, test } from "vitest";
import { endedAs } from "./expected-outcome.ts";

test.each([
  ["linked", "linked", 0, true],
  ["linked", "locked", 0, false],
  ["locked", "locked", 0, true],
  ["locked", "linked", 0, false],
  ["failed", "failed", 77, true],
  ["not ready", "error", 75, true],
  ["not ready", "error", 70, false],
  ["not ready", "linked", 0, false],
  ["no free slot", "no free slot", 77, true],
  ["no free slot", "error", 77, false],
] as const)("expected %s, ended as %s with exit code %d: %s", (expected, outcome, exitCode, held) => {
  expect(endedAs(expected, { outcome, exitCode })).toBe(held);
});
