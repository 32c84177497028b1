import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../inband/clock.ts";

interface Timer {
  readonly dueMs: number;
  readonly wake: () => void;
}

/**
 * Time that passes only while everybody waits: then it jumps to the first timer that is due. Limits, delays and pauses keep
 * their order, hours take milliseconds. For worlds in memory: who waits for something outside is not seen waiting.
 * @param settled resolves when nobody gets any further without a timer; by default after one turn of the event loop
 */
export function virtualClock(settled: () => Promise<unknown> = () => setImmediate()): Clock {
  let nowMs = 0;
  let passing = false;
  const timers = new Set<Timer>();

  const pass = async () => {
    passing = true;
    for (;;) {
      // All that is not waiting for a timer gets as far as it can.
      await settled();
      const [first, ...others] = timers;
      if (first === undefined) break;
      const next = others.reduce((a, b) => (b.dueMs < a.dueMs ? b : a), first);
      timers.delete(next);
      nowMs = next.dueMs;
      next.wake();
    }
    passing = false;
  };

  return {
    now: () => nowMs,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const timer: Timer = { dueMs: nowMs + ms, wake: () => finish(resolve) };
        const onAbort = () => finish(() => reject(signal?.reason));
        const finish = (end: () => void) => {
          timers.delete(timer);
          signal?.removeEventListener("abort", onAbort);
          end();
        };
        signal?.addEventListener("abort", onAbort);
        timers.add(timer);
        if (!passing) pass().catch(reject);
      });
    },
  };
}
