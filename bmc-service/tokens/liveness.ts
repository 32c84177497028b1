/** Which enrolments are under way: those that were heard a short while ago. In memory: nothing of it outlives a connection. */
export class Liveness {
  readonly #idleMs: number;
  readonly #now: () => number;
  readonly #startedAt: number;
  /** When each session was heard last, or that it is over; the oldest first. */
  readonly #heard = new Map<string, { readonly at: number; readonly over: boolean }>();
  /** Streams of each session. */
  readonly #streams = new Map<string, number>();

  /**
   * @param idleMs how long a session that says nothing is still taken to be under way
   * @param now milliseconds since 1970
   */
  constructor(idleMs: number, now: () => number = Date.now) {
    this.#idleMs = idleMs;
    this.#now = now;
    this.#startedAt = now();
  }

  /** The session has called. */
  heard(id: string): void {
    if (this.#heard.get(id)?.over !== true) this.#note(id, false);
  }

  /** Its hand-off has ended, or it has given up: whatever it still tells, nobody has to wait for it. */
  over(id: string): void {
    this.#note(id, true);
  }

  /** It is under way as long as it reads a stream, which may be silent. */
  follow(id: string): Disposable {
    this.#streams.set(id, (this.#streams.get(id) ?? 0) + 1);
    return {
      [Symbol.dispose]: () => {
        const left = (this.#streams.get(id) ?? 1) - 1;
        if (left > 0) this.#streams.set(id, left);
        else this.#streams.delete(id);
      },
    };
  }

  /** How long ago the session was heard, ms; undefined: it is not under way any more. */
  readonly heardMs = (id: string, createdAt: Date): number | undefined => {
    const known = this.#heard.get(id);
    if (known?.over === true) return undefined;
    if (this.#streams.has(id)) return 0;
    // Before the service started, it may have been heard until then.
    const ago = this.#now() - (known?.at ?? Math.max(createdAt.getTime(), this.#startedAt));
    return ago < this.#idleMs ? ago : undefined;
  };

  #note(id: string, over: boolean): void {
    this.#heard.delete(id);
    this.#heard.set(id, { at: this.#now(), over });
    // What is older counts as idle also when nothing is known of it.
    for (const [oldest, { at }] of this.#heard) {
      if (this.#now() - at < this.#idleMs) break;
      this.#heard.delete(oldest);
    }
  }
}
