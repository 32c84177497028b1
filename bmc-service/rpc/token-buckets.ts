/** Buckets that are remembered; the one that was used least recently goes first. */
const mostBuckets = 10_000;

/** A token bucket for each key: so many at once, and as many again within each period. */
export class TokenBuckets {
  readonly #size: number;
  readonly #periodMs: number;
  readonly #now: () => number;
  /** A full one is not remembered; in the order of their use. */
  readonly #buckets = new Map<string, { readonly tokens: number; readonly at: number }>();

  /** @param now milliseconds of a clock that never goes back */
  constructor(size: number, periodMs: number, now: () => number = () => performance.now()) {
    this.#size = size;
    this.#periodMs = periodMs;
    this.#now = now;
  }

  /** Takes one. @returns 0 if there was one, else in how many seconds there will be one */
  take(key: string): number {
    const now = this.#now();
    const { tokens, at } = this.#buckets.get(key) ?? { tokens: this.#size, at: now };
    const refilled = Math.min(this.#size, tokens + ((now - at) * this.#size) / this.#periodMs);
    if (refilled < 1) return Math.ceil(((1 - refilled) * this.#periodMs) / this.#size / 1_000);
    this.#buckets.delete(key);
    this.#buckets.set(key, { tokens: refilled - 1, at: now });
    if (this.#buckets.size > mostBuckets) this.#buckets.delete(this.#buckets.keys().next().value ?? "");
    return 0;
  }
}
