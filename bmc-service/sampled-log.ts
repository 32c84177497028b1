import type { Logger } from "pino";

/** Lines of one kind in a minute; what comes after them is counted only. */
const linesPerMinute = 60;
const minuteMs = 60_000;

/** Log lines that strangers can cause: a flood of them must neither fill the disk nor take the time of others. */
export class SampledLog implements Disposable {
  readonly #log: Logger;
  readonly #limit: number;
  readonly #windows = new Map<string, { lines: number; leftOut: number; readonly timer: NodeJS.Timeout }>();

  constructor(log: Logger, limit = linesPerMinute) {
    this.#log = log;
    this.#limit = limit;
  }

  /** @param kind one of a small number: each has a window of its own */
  warn(kind: string, fields: object, text: string): void {
    const window = this.#windows.get(kind) ?? this.#open(kind);
    if (window.lines < this.#limit) {
      window.lines += 1;
      this.#log.warn(fields, text);
    } else window.leftOut += 1;
  }

  #open(kind: string) {
    const timer = setTimeout(() => this.#close(kind), minuteMs).unref();
    const window = { lines: 0, leftOut: 0, timer };
    this.#windows.set(kind, window);
    return window;
  }

  #close(kind: string): void {
    const { leftOut = 0, timer } = this.#windows.get(kind) ?? {};
    clearTimeout(timer);
    this.#windows.delete(kind);
    if (leftOut > 0) this.#log.warn({ kind, leftOut }, "more of these within a minute were not written");
  }

  /** Says what it has left out so far. */
  [Symbol.dispose](): void {
    for (const kind of [...this.#windows.keys()]) this.#close(kind);
  }
}
