import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { TimerCall } from "./libc-timer.ts";
import { type StuckSettings, watchForStuck } from "./stuck.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function watch(settings: Partial<StuckSettings> = {}, format: "text" | "json" = "text") {
  const timers: { call: TimerCall; set: number[] }[] = [];
  const watching = watchForStuck({ stuck: "reboot", stuckLimitMs: 120_000, ...settings }, format, (call) => {
    const timer = { call, set: [] as number[] };
    timers.push(timer);
    return { set: (ms) => void timer.set.push(ms) };
  });
  const textOf = ({ call }: { call: TimerCall }): string => (call.name === "puts" ? call.text.toString() : "");
  return { timers, watching, said: timers.map(textOf).join("") };
}

test("the reason is told first, and the machine restarts five seconds later", () => {
  const { timers, said } = watch();
  expect(timers.map(({ call, set }) => [call.name, set])).toEqual([
    ["puts", [120_000]],
    ["reboot", [125_000]],
  ]);
  expect(timers[1]?.call).toMatchObject({ argument: 0x01234567 });
  expect(said).toBe(
    "      ERROR metal-rivet is held by the kernel for 120 s, probably by a driver: rebooting in 5 s\0",
  );
});

test("while the event loop turns, both are wound up again in good time", () => {
  const { timers, watching } = watch();
  vi.advanceTimersByTime(90_000);
  expect(timers.map(({ set }) => set.length)).toEqual([4, 4]);
  watching[Symbol.dispose]();
  expect(timers.map(({ set }) => set.at(-1))).toEqual([0, 0]);
  vi.advanceTimersByTime(90_000);
  expect(timers.map(({ set }) => set.length)).toEqual([5, 5]);
});

test("told to wait, it tells and does no more; in JSON for programs", () => {
  const { timers, said } = watch({ stuck: "wait", stuckLimitMs: 30_000 }, "json");
  expect(timers.map(({ call }) => call.name)).toEqual(["puts"]);
  expect(JSON.parse(said.replace("\0", ""))).toMatchObject({ level: "error", msg: expect.stringContaining("30 s") });
});
