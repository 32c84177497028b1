import { expect, test } from "vitest";
import { ReportedMacs } from "./reported-macs.ts";

test("a session may report so many MAC addresses, and each of them again", () => {
  const reported = new ReportedMacs(2);
  expect(["a", "b", "a", "c", "b"].map((mac) => reported.admit("one", mac))).toEqual([true, true, true, false, true]);
  expect(reported.admit("two", "c")).toBe(true);
});

test("a flood of sessions does not fill the memory, nor does it forget one that reports", () => {
  const reported = new ReportedMacs(1);
  reported.admit("mine", "a");
  for (let i = 0; i < 9_999; i += 1) reported.admit(`stranger ${i}`, "a");
  reported.admit("mine", "a");
  for (let i = 0; i < 9_999; i += 1) reported.admit(`other ${i}`, "a");
  expect(reported.admit("mine", "b")).toBe(false);
});
