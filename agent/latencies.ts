/** Upper bounds of the ranges, in milliseconds, inclusive: a healthy KCS takes 1 to 50, one without interrupts up to 500. */
const boundsMs = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000] as const;

/** How many commands took how long. Its fields are those of the contract's CommandLatencies. */
export interface Latencies {
  /** In ascending order; the last one, with 0, has no upper bound. */
  readonly buckets: readonly { readonly upToMs: number; readonly count: number }[];
  /** Rounded up. */
  readonly longestMs: number;
}

/** Counts the commands of a BMC by the time from command to answer; a command without an answer counts as well. */
export class Histogram {
  readonly #counts = new Array<number>(boundsMs.length + 1).fill(0);
  #longestMs = 0;

  add(ms: number): void {
    const index = boundsMs.findIndex((bound) => ms <= bound);
    const at = index === -1 ? boundsMs.length : index;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#longestMs = Math.max(this.#longestMs, ms);
  }

  /** Up to now. */
  get latencies(): Latencies {
    const buckets = this.#counts.map((count, at) => ({ upToMs: boundsMs[at] ?? 0, count }));
    return { buckets, longestMs: Math.ceil(this.#longestMs) };
  }
}

/** For people: "38 up to 2 ms, 3 up to 5 ms; longest 4 ms", ranges without commands left out. */
export function latenciesText({ buckets, longestMs }: Latencies): string {
  const last = boundsMs.at(-1);
  const ranges = buckets
    .filter(({ count }) => count > 0)
    .map(({ upToMs, count }) => `${count} ${upToMs === 0 ? `over ${last}` : `up to ${upToMs}`} ms`);
  return `${ranges.join(", ")}; longest ${longestMs} ms`;
}
