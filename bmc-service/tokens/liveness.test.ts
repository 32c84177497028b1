import { beforeEach, expect, test } from "vitest";
import { Liveness } from "./liveness.ts";

let clock: number;
let liveness: Liveness;
const startedAt = 1_000_000;
const before = new Date(startedAt - 10_000);

beforeEach(() => {
  clock = startedAt;
  liveness = new Liveness(60_000, () => clock);
});

test("a session is under way for as long as it is heard often enough", () => {
  liveness.heard("a");
  clock += 59_000;
  expect(liveness.heardMs("a", before)).toBe(59_000);
  liveness.heard("a");
  clock += 59_999;
  expect(liveness.heardMs("a", before)).toBe(59_999);
  clock += 1;
  expect(liveness.heardMs("a", before)).toBeUndefined();
});

test("one that is over is not, whatever it still says", () => {
  liveness.heard("a");
  liveness.over("a");
  expect(liveness.heardMs("a", before)).toBeUndefined();
  liveness.heard("a");
  expect(liveness.heardMs("a", before)).toBeUndefined();
});

test("one that reads a stream is, in silence too, until the last stream ends", () => {
  const [one, two] = [liveness.follow("a"), liveness.follow("a")];
  clock += 600_000;
  expect(liveness.heardMs("a", before)).toBe(0);
  one[Symbol.dispose]();
  expect(liveness.heardMs("a", before)).toBe(0);
  two[Symbol.dispose]();
  expect(liveness.heardMs("a", before)).toBeUndefined();
});

test("one of before the service started counts as heard until then", () => {
  clock += 30_000;
  expect(liveness.heardMs("a", before)).toBe(30_000);
  expect(liveness.heardMs("b", new Date(startedAt + 20_000))).toBe(10_000);
  clock += 30_000;
  expect(liveness.heardMs("a", before)).toBeUndefined();
});

test("what was forgotten counts as idle, and one that was over does not come back", () => {
  liveness.over("a");
  clock += 60_000;
  liveness.heard("b");
  expect(liveness.heardMs("a", before)).toBeUndefined();
});
