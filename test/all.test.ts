import { expect, test } from "vitest";
import { countTests } from "./all.ts";

const file = (status: string, ...tests: string[]) => ({
  status,
  assertionResults: tests.map((each) => ({ status: each })),
});

test("tests are counted as vitest counts them", () => {
  const counts = countTests({
    numPassedTests: 7,
    numFailedTests: 1,
    numPendingTests: 2,
    numTodoTests: 1,
    testResults: [file("failed", "passed", "failed"), file("passed", "passed")],
  });
  expect(counts).toEqual({ passed: 7, failed: 1, skipped: 3 });
});

test("a file that failed before its tests ran counts as one failed", () => {
  const none = { numPassedTests: 3, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 };
  expect(countTests({ ...none, testResults: [file("failed"), file("passed", "passed")] }).failed).toBe(1);
});
