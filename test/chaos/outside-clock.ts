import { setImmediate } from "node:timers/promises";
import type { Clock } from "../../inband/clock.ts";
import { virtualClock } from "../simulator/virtual-clock.ts";
import { speed } from "./hurried-clock.ts";

/**
 * The time of a simulated machine whose service is a real process: it jumps from timer to timer while only timers are
 * waited for, and passes quickly while an answer from outside is. No timer comes due during such a wait: what is outside has
 * limits of its own, in real time.
 */
export class OutsideClock implements Clock {
  readonly #inner = virtualClock(() => this.#settled());
  #waits = 0;
  #sinceMs = 0;
  #passedMs = 0;
  #idle = Promise.withResolvers<void>();

  now(): number {
    const waitingMs = this.#waits === 0 ? 0 : performance.now() - this.#sinceMs;
    return this.#inner.now() + this.#passedMs + waitingMs * speed;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#inner.sleep(ms, signal);
  }

  /** Waits for something outside. */
  async outside<T>(work: () => Promise<T>): Promise<T> {
    const leave = this.enter();
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /** The same for a wait that does not end with one promise: returns what ends it. */
  enter(): () => void {
    if (this.#waits === 0) {
      this.#sinceMs = performance.now();
      this.#idle = Promise.withResolvers<void>();
    }
    this.#waits += 1;
    return () => {
      this.#waits -= 1;
      if (this.#waits > 0) return;
      this.#passedMs += (performance.now() - this.#sinceMs) * speed;
      this.#idle.resolve();
    };
  }

  async #settled(): Promise<void> {
    await setImmediate();
    while (this.#waits > 0) {
      await this.#idle.promise;
      await setImmediate();
    }
  }
}
