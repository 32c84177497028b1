import { join } from "node:path";
import { expect, test } from "vitest";
import { countTests, failures } from "./all.ts";

const file = (status: string, ...tests: string[]) => ({
  name: join(import.meta.dirname, "some.test.ts"),
  status,
  message: "Cannot find module\n  at line 1",
  assertionResults: tests.map((each, index) => ({
    status: each,
    fullName: `test ${index}`,
    failureMessages: each === "failed" ? ["expected 1 to be 2\n  at line 7"] : [],
  })),
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

test("each failure is named with the first line of its reason", () => {
  const counts = { numPassedTests: 1, numFailedTests: 1, numPendingTests: 0, numTodoTests: 0 };
  const testResults = [file("failed", "passed", "failed"), file("passed", "passed"), file("failed")];
  expect(failures({ ...counts, testResults })).toEqual([
    "test/some.test.ts > test 1: expected 1 to be 2",
    "test/some.test.ts: Cannot find module",
  ]);
});
