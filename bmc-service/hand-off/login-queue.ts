/** How often those that wait are told that they have moved, ms. */
const defaultTellEveryMs = 1_000;

interface Waiting {
  readonly lane: string;
  readonly enter: () => void;
  readonly moved: (ahead: number) => void;
  /** What it was told last. */
  ahead: number;
}

/**
 * At most so many remote logins at once. Each caller has a lane: a free place goes to the lane that has the fewest, then to whoever
 * came first. No lane gets all places, however many wait in it: the others would wait for as long as a silent BMC is waited for.
 */
export class LoginQueue {
  readonly #places: number;
  readonly #placesOfLane: number;
  readonly #tellEveryMs: number;
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiting>();
  /** Places that each lane has; those with none are not in it. */
  readonly #taken = new Map<string, number>();
  #running = 0;
  #teller: NodeJS.Timeout | undefined;

  constructor(places: number, tellEveryMs = defaultTellEveryMs) {
    this.#places = places;
    this.#placesOfLane = Math.ceil((places * 3) / 4);
    this.#tellEveryMs = tellEveryMs;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Runs `work` when there is a place. Rejects with the signal's reason if that comes while waiting.
   * @param lane of the caller
   * @param moved told how many may be ahead at most (those that run included), and from time to time how many are if that has
   *   changed; not told if there is a place
   */
  async run<T>(lane: string, signal: AbortSignal, moved: (ahead: number) => void, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#running < this.#places && this.#mayEnter(lane)) this.#take(lane);
    else await this.#wait(lane, signal, moved);
    try {
      return await work();
    } finally {
      this.#leave(lane);
    }
  }

  async #wait(lane: string, signal: AbortSignal, moved: (ahead: number) => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const entry: Waiting = { lane, enter: resolve, moved, ahead: -1 };
    const aborted = () => {
      if (this.#waiting.delete(entry)) reject(signal.reason);
    };
    signal.addEventListener("abort", aborted, { once: true });
    this.#waiting.add(entry);
    tell(entry, this.#running + this.#waiting.size - 1);
    this.#teller ??= setInterval(() => this.#tellAll(), this.#tellEveryMs).unref();
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", aborted);
      if (this.#waiting.size === 0) {
        clearInterval(this.#teller);
        this.#teller = undefined;
      }
    }
  }

  #placesTaken(lane: string): number {
    return this.#taken.get(lane) ?? 0;
  }

  #mayEnter(lane: string): boolean {
    return this.#placesTaken(lane) < this.#placesOfLane;
  }

  #take(lane: string): void {
    this.#running += 1;
    this.#taken.set(lane, this.#placesTaken(lane) + 1);
  }

  /** The place goes to one that waits: nobody who comes later can take it. */
  #leave(lane: string): void {
    this.#running -= 1;
    const left = this.#placesTaken(lane) - 1;
    if (left > 0) this.#taken.set(lane, left);
    else this.#taken.delete(lane);
    const next = this.#next();
    if (next === undefined) return;
    this.#waiting.delete(next);
    this.#take(next.lane);
    next.enter();
  }

  /** Of those that may enter, the first one of the lane with the fewest places. */
  #next(): Waiting | undefined {
    let best: Waiting | undefined;
    for (const each of this.#waiting) {
      const taken = this.#placesTaken(each.lane);
      if (taken === 0) return each;
      if (this.#mayEnter(each.lane) && (best === undefined || taken < this.#placesTaken(best.lane))) best = each;
    }
    return best;
  }

  /** All that wait, in the order in which they would enter if nobody came or left. */
  #order(): Waiting[] {
    const before = new Map(this.#taken);
    return [...this.#waiting]
      .map((entry) => {
        const rank = before.get(entry.lane) ?? 0;
        before.set(entry.lane, rank + 1);
        return { entry, rank };
      })
      .sort((a, b) => a.rank - b.rank)
      .map(({ entry }) => entry);
  }

  #tellAll(): void {
    for (const [i, entry] of this.#order().entries()) tell(entry, this.#running + i);
  }
}

function tell(entry: Waiting, ahead: number): void {
  if (entry.ahead === ahead) return;
  entry.ahead = ahead;
  entry.moved(ahead);
}
