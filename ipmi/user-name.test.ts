import { expect, test } from "vitest";
import { unfilledName } from "./user-name.ts";

test.each([
  ["rivet0123456789", "rivet0123456789"],
  ["rivet0123456789 ", "rivet0123456789"],
  ["ADMIN           ", "ADMIN"],
  ["ADMIN\xff\xff", "ADMIN"],
  ["night shift  ", "night shift"],
  [" x", " x"],
  ["", ""],
  [" ".repeat(16), " ".repeat(16)],
  ["\xff".repeat(16), "\xff".repeat(16)],
])("%j is the name %j", (told, name) => {
  expect(unfilledName(told)).toBe(name);
});
