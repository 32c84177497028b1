import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { DeadlineError, pause } from "./deadline.ts";

/** Follows a serial log as it grows, line by line. One reader at a time. */
export class SerialConsole {
  readonly file: string;
  #offset = 0;
  #rest = "";
  #lines: string[] = [];
  /** Of the first line that no wait has looked at. */
  #unread = 0;

  constructor(file: string) {
    this.file = file;
  }

  /** Takes in what was written since the last call; carriage returns and escape sequences are left out. */
  poll(): void {
    let fd: number;
    try {
      fd = openSync(this.file, "r");
    } catch {
      // The VM has written nothing yet.
      return;
    }
    try {
      const size = fstatSync(fd).size;
      if (size <= this.#offset) return;
      const buffer = Buffer.alloc(size - this.#offset);
      this.#offset += readSync(fd, buffer, 0, buffer.length, this.#offset);
      const lines = (this.#rest + buffer.toString("latin1")).split("\n");
      this.#rest = lines.pop() ?? "";
      this.#lines.push(...lines.map(plain));
    } finally {
      closeSync(fd);
    }
  }

  /** All complete lines so far. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Leaves out what was written so far: the next wait looks at what comes from now on. */
  skip(): void {
    this.poll();
    this.#unread = this.#lines.length;
  }

  /**
   * Reads on, from where the last wait ended, until a line gives something.
   * @throws DeadlineError with the last lines after `limitMs`; the error of `ended` if that gives one; the signal's reason
   */
  async waitFor<T>(
    what: string,
    limitMs: number,
    match: (line: string) => T | undefined,
    options: { readonly signal?: AbortSignal | undefined; readonly ended?: () => string | undefined } = {},
  ): Promise<T> {
    const start = performance.now();
    for (;;) {
      const ended = options.ended?.();
      this.poll();
      for (let line = this.#lines[this.#unread]; line !== undefined; line = this.#lines[this.#unread]) {
        this.#unread += 1;
        const found = match(line);
        if (found !== undefined) return found;
      }
      if (ended !== undefined)
        throw new Error(`${ended} before ${what}; serial log ${this.file} ends with:\n${this.tail()}`);
      if (performance.now() - start > limitMs) {
        const seconds = Math.round(limitMs / 1000);
        throw new DeadlineError(
          `timed out after ${seconds} s waiting for ${what}; serial log ${this.file} ends with:\n${this.tail()}`,
        );
      }
      await pause(40, options.signal);
    }
  }

  tail(lines = 12): string {
    return this.#lines
      .slice(-lines)
      .concat(this.#rest === "" ? [] : [this.#rest])
      .join("\n");
  }
}

function plain(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a serial port carries them
  return Buffer.from(line.replaceAll("\r", "").replaceAll(/\x1b\[[0-9;?]*[A-Za-z]|\x1bc/g, ""), "latin1").toString(
    "utf8",
  );
}
