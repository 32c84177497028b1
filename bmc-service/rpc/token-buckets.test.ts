import { expect, test } from "vitest";
import { TokenBuckets } from "./token-buckets.ts";

test("so many at once, then so many within each minute, and it says when", () => {
  let now = 0;
  const buckets = new TokenBuckets(3, 60_000, () => now);
  expect([1, 2, 3, 4].map(() => buckets.take("a"))).toEqual([0, 0, 0, 20]);
  now = 5_000;
  expect(buckets.take("a")).toBe(15);
  expect(buckets.take("b")).toBe(0);
  now = 20_000;
  expect([buckets.take("a"), buckets.take("a")]).toEqual([0, 20]);
  now = 600_000;
  expect([1, 2, 3, 4].map(() => buckets.take("a"))).toEqual([0, 0, 0, 20]);
});

test("a flood of keys does not fill the memory, nor does it empty the bucket that is in use", () => {
  const buckets = new TokenBuckets(2, 60_000, () => 0);
  expect(buckets.take("mine")).toBe(0);
  for (let i = 0; i < 9_999; i += 1) buckets.take(`stranger ${i}`);
  expect([buckets.take("mine"), buckets.take("mine")]).toEqual([0, 30]);
  for (let i = 0; i < 10_000; i += 1) buckets.take(`other ${i}`);
  // Forgotten, so full.
  expect(buckets.take("mine")).toBe(0);
});
