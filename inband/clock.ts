import { setTimeout as delay } from "node:timers/promises";

/** Time, passed in wherever something waits, so that no test sleeps. */
export interface Clock {
  /** Milliseconds that only grow; the zero point means nothing. */
  now(): number;
  /**
   * Waits.
   * @param ms milliseconds, 0 or more
   * @throws the signal's reason when it ends the wait
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** The time of this machine, not moved by setting its date. */
export const systemClock: Clock = {
  now: () => performance.now(),
  async sleep(ms, signal) {
    signal?.throwIfAborted();
    try {
      await delay(ms, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};
