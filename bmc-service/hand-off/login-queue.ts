/** At most so many remote logins at once; the others wait in the order in which they came. */
export class LoginQueue {
  readonly #places: number;
  readonly #waiting: { enter: () => void; moved: (ahead: number) => void }[] = [];
  #running = 0;

  constructor(places: number) {
    this.#places = places;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Runs `work` when there is a place. Rejects with the signal's reason if that comes while waiting.
   * @param moved told how many are ahead (those that run included), at first and whenever that gets less; not told if there is a place
   */
  async run<T>(signal: AbortSignal, moved: (ahead: number) => void, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#running < this.#places) this.#running += 1;
    else await this.#wait(signal, moved);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #wait(signal: AbortSignal, moved: (ahead: number) => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const entry = { enter: resolve, moved };
    const aborted = () => {
      const place = this.#waiting.indexOf(entry);
      if (place === -1) return;
      this.#waiting.splice(place, 1);
      reject(signal.reason);
    };
    signal.addEventListener("abort", aborted, { once: true });
    this.#waiting.push(entry);
    moved(this.#running + this.#waiting.length - 1);
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", aborted);
    }
  }

  /** The place goes to the next one that waits: nobody who comes later can take it. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) {
      this.#running -= 1;
      return;
    }
    next.enter();
    for (const [i, { moved }] of this.#waiting.entries()) moved(this.#running + i);
  }
}
