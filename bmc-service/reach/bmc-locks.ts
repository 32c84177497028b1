/** One session at a time for each BMC: they have few, and some mix up what happens in two. */
export class BmcLocks {
  readonly #last = new Map<string, Promise<unknown>>();

  /**
   * Runs `work` when everything asked for before it, for the same BMC, has ended.
   * Rejects with the signal's reason if that comes first.
   */
  async run<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const turn = before.then(() => ended);
    this.#last.set(key, turn);
    try {
      await orAborted(before, signal);
      return await work();
    } finally {
      end();
      if (this.#last.get(key) === turn) this.#last.delete(key);
    }
  }
}

/** Settles as `promise`, or rejects with the signal's reason if that comes first. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const listener = () => reject(signal.reason);
  signal.addEventListener("abort", listener, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", listener);
  }
}
