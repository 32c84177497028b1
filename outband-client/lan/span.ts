/**
 * A span of time that ends a wait, and never lasts longer than the caller's signal. Unlike AbortSignal.timeout it leaves nothing behind
 * once it is disposed: the timers of a data centre's hand-offs would be kept to their ends.
 */
export class Span implements Disposable {
  readonly #own = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly signal: AbortSignal;

  constructor(ms: number, outer?: AbortSignal) {
    this.signal = outer === undefined ? this.#own.signal : AbortSignal.any([outer, this.#own.signal]);
    this.#timer = setTimeout(() => this.#own.abort(), ms);
  }

  /** Whether the time is over. */
  get over(): boolean {
    return this.#own.signal.aborted;
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
