import { setTimeout } from "node:timers/promises";
import type { Clock } from "../../inband/clock.ts";

/** Milliseconds that seem to pass in each real one, where something real is waited for. */
export const speed = 20;

/** Real time, in a hurry: for an agent that is a process of its own. */
export const hurriedClock: Clock = {
  now: () => performance.now() * speed,
  async sleep(ms, signal) {
    signal?.throwIfAborted();
    // The abort of a timer has an error of its own; callers wait for the signal's reason.
    await setTimeout(ms / speed, undefined, { signal }).catch(() => signal?.throwIfAborted());
  },
};
