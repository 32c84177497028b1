import { describe, expect, test } from "vitest";
import { systemClock } from "../inband/clock.ts";
import { makeStep, StepError, type StepEvent, StepTimeoutError } from "./step.ts";

function steps() {
  const events: StepEvent[] = [];
  let nowMs = 0;
  let due: (() => void) | undefined;
  const clock = {
    now: () => nowMs,
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        due = () => {
          nowMs += ms;
          resolve();
        };
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      }),
  };
  /** The next limit is reached. */
  const timePasses = () => due?.();
  return { events, clock, timePasses, step: makeStep({ clock, onEvent: (event) => events.push(event) }) };
}

describe("step", () => {
  test("reports start and end, with what came out", async () => {
    const { step, events } = steps();
    expect(
      await step(
        "begin",
        1000,
        async () => 42,
        (value) => `got ${value}`,
      ),
    ).toBe(42);
    expect(events).toEqual([
      { kind: "started", step: "begin", number: 2, of: 9, limitMs: 1000 },
      { kind: "done", step: "begin", number: 2, of: 9, durationMs: 0, detail: "got 42" },
    ]);
  });

  test("wraps a failure, with the cause", async () => {
    const { step, events } = steps();
    const cause = new Error("what happened");
    const error = await step("report BMC", 1000, () => Promise.reject(cause)).catch((each: unknown) => each);
    expect(error).toBeInstanceOf(StepError);
    expect(error).toMatchObject({ step: "report BMC", cause, message: "report BMC: what happened" });
    expect(events.at(-1)).toMatchObject({ kind: "failed", reason: "what happened" });
  });

  test("ends the work through its signal at the limit", async () => {
    const { step, timePasses } = steps();
    const running = step("inspect BMC", 5000, (signal) => {
      const ended = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      timePasses();
      return ended;
    });
    await expect(running).rejects.toMatchObject({
      name: "StepError",
      message: "inspect BMC: not done within 5 s",
      cause: expect.any(StepTimeoutError),
    });
  });

  test("an error of the work's own says more than the limit", async () => {
    const { step, timePasses } = steps();
    const own = new TypeError("no answer after 5 s");
    const running = step("inspect BMC", 5000, (signal) => {
      const ended = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(own)));
      timePasses();
      return ended;
    });
    await expect(running).rejects.toMatchObject({ cause: own });
  });

  test("does not wait for work that heeds no signal", async () => {
    const { step, timePasses } = steps();
    const running = step("hand-off", 5000, () => new Promise<never>(() => undefined));
    running.catch(() => undefined);
    for (let i = 0; i < 2; i += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      timePasses();
    }
    await expect(running).rejects.toMatchObject({ cause: expect.any(StepTimeoutError) });
  });

  test("does not wait for it when the run is to end either", async () => {
    const { clock, timePasses } = steps();
    const outer = new AbortController();
    const step = makeStep({ clock, onEvent: () => undefined, signal: outer.signal });
    const running = step("hand-off", 5000, () => new Promise<never>(() => undefined));
    running.catch(() => undefined);
    await new Promise((resolve) => setImmediate(resolve));
    outer.abort(new Error("power button"));
    await new Promise((resolve) => setImmediate(resolve));
    timePasses();
    await expect(running).rejects.toThrow("hand-off: power button");
    expect(clock.now()).toBe(2_000);
  });

  test("the outer signal lets no step begin", async () => {
    const signal = AbortSignal.abort(new Error("power button"));
    let began = false;
    const step = makeStep({ clock: systemClock, onEvent: () => undefined, signal });
    const running = step("begin", 1000, async () => {
      began = true;
    });
    await expect(running).rejects.toThrow("begin: power button");
    expect(began).toBe(false);
  });
});
