import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { newLog } from "./log.ts";
import { SampledLog } from "./sampled-log.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("so many lines of a kind in a minute, then how many there were besides", () => {
  const lines: string[] = [];
  const said = () => lines.splice(0).map((line) => JSON.parse(line));
  const log = new SampledLog(newLog("info", { write: (line) => void lines.push(line) }), 2);
  for (let i = 0; i < 5; i += 1) log.warn("flood", { i }, "too many");
  log.warn("role", {}, "another kind");
  expect(said().map(({ i, msg }) => [i, msg])).toEqual([
    [0, "too many"],
    [1, "too many"],
    [undefined, "another kind"],
  ]);
  vi.advanceTimersByTime(60_000);
  expect(said()).toMatchObject([{ kind: "flood", leftOut: 3 }]);
  log.warn("flood", { i: 6 }, "too many");
  for (let i = 0; i < 2; i += 1) log.warn("flood", {}, "too many");
  log[Symbol.dispose]();
  expect(said().at(-1)).toMatchObject({ kind: "flood", leftOut: 1 });
});
