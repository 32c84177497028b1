import { expect, test } from "vitest";
import { keysIn } from "./keys.ts";

test.each([
  ["rRis", ["again", "again", "inspect", "shell"]],
  ["pyN", ["power off", "yes", "no"]],
  [" \rb", ["next page", "next page", "page back"]],
  ["\u001b[B\u001b[5~", ["next page", "page back"]],
  ["\u001b", ["close"]],
  ["x1\u0003", []],
])("%j", (typed, keys) => expect(keysIn(typed)).toEqual(keys));

test("a key that is not known does nothing, also if letters of ours are in its sequence", () => {
  expect(keysIn("\u001b[1;2P\u001bOS\u001b[200~r")).toEqual(["again"]);
});
