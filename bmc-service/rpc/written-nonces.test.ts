import { expect, test } from "vitest";
import { WrittenNonces } from "./written-nonces.ts";

test("the last nonce of a BMC is remembered until it is taken away", () => {
  const nonces = new WrittenNonces();
  nonces.set("a", "1");
  nonces.set("a", "2");
  expect([nonces.has("a", "1"), nonces.has("a", "2"), nonces.has("b", "2")]).toEqual([false, true, false]);
  nonces.set("a", undefined);
  expect(nonces.has("a", "2")).toBe(false);
});

test("so many are remembered: the one that was written first goes", () => {
  const nonces = new WrittenNonces(2);
  for (const key of ["a", "b", "a", "c"]) nonces.set(key, "1");
  expect(["a", "b", "c"].map((key) => nonces.has(key, "1"))).toEqual([true, false, true]);
});
