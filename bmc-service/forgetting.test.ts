import pino from "pino";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startForgetting } from "./forgetting.ts";
import type { Store } from "./store/store.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const forget = vi.fn<Store["forget"]>();
let forgetting: Disposable;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date", "performance", "setInterval", "clearInterval"] });
  forget.mockReset().mockResolvedValue({ sessions: 0, rows: 0, machines: 0, conflicts: 0 });
  const keep = { unprovedMs: 90 * dayMs, conflictsMs: 90 * dayMs };
  forgetting = startForgetting({ forget } as Partial<Store> as Store, keep, pino({ level: "silent" }));
});
afterEach(() => {
  forgetting[Symbol.dispose]();
  vi.useRealTimers();
});

test("nothing is forgotten in the first hour: the clock may be far ahead", () => {
  vi.advanceTimersByTime(hourMs - 1);
  expect(forget).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(forget).toHaveBeenCalledOnce();
});

test.each([
  ["ahead", 365 * dayMs],
  ["back", -2 * dayMs],
])("nothing is forgotten in the hour after the clock was set %s", (_, ms) => {
  vi.advanceTimersByTime(hourMs);
  vi.setSystemTime(Date.now() + ms);
  forget.mockClear();
  vi.advanceTimersByTime(hourMs);
  expect(forget).not.toHaveBeenCalled();
  vi.advanceTimersByTime(hourMs);
  expect(forget).toHaveBeenCalled();
});
