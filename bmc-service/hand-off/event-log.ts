import { orAborted } from "../reach/bmc-locks.ts";

/** Events that several can follow, each from the first one on. */
export class EventLog<T> {
  readonly #events: T[] = [];
  /** What holds only until the next event of any kind. */
  #passing: { readonly event: T } | undefined;
  #end: { readonly error: unknown } | undefined;
  #more = Promise.withResolvers<void>();

  append(event: T): void {
    this.#passing = undefined;
    this.#events.push(event);
    this.#wake();
  }

  /** Takes the place of the passing event before it: who has not seen that one yet never will. */
  pass(event: T): void {
    this.#passing = { event };
    this.#wake();
  }

  /** @param error what the followers get after the last event; undefined if all went well */
  end(error?: unknown): void {
    this.#end = { error };
    this.#wake();
  }

  /** All events from the first to the last. Ends early, by an error with the signal's reason, when it is aborted. */
  async *follow(signal: AbortSignal): AsyncGenerator<T, void, undefined> {
    let seen: object | undefined;
    for (let next = 0; ; ) {
      const more = this.#more.promise;
      for (; next < this.#events.length; next += 1) yield this.#events[next] as T;
      const passing = this.#passing;
      if (passing !== undefined && passing !== seen) {
        seen = passing;
        yield passing.event;
        continue;
      }
      if (this.#end?.error !== undefined) throw this.#end.error;
      if (this.#end !== undefined) return;
      await orAborted(more, signal);
    }
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers<void>();
  }
}
