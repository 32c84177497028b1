import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../inband/clock.ts";

/** Longer than any wait between two tries: whoever sleeps so long guards a limit. */
const limitMs = 15_000;

/**
 * A clock that jumps: who waits between tries wakes at once, and it is that much later. Limits do not come by
 * themselves, because nothing that they guard takes time.
 */
export function fakeClock(): Clock & { waits: number[] } {
  let nowMs = 0;
  const waits: number[] = [];
  return {
    waits,
    now: () => nowMs,
    async sleep(ms, signal) {
      if (ms >= limitMs) return await untilAborted(signal);
      await setImmediate();
      signal?.throwIfAborted();
      waits.push(ms);
      nowMs += ms;
    },
  };
}

function untilAborted(signal: AbortSignal | undefined): Promise<void> {
  return new Promise((_resolve, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
