import { readdirSync, readFileSync } from "node:fs";
import { pause } from "../lab/deadline.ts";

/** Collects the command lines and environments of all processes that start while it watches. */
export class ProcessWatch implements AsyncDisposable {
  /** What they are, by their content. */
  readonly seen = new Map<string, string>();
  readonly #before = new Set(processIds());
  readonly #stop = new AbortController();
  readonly #watching: Promise<void>;

  constructor() {
    this.#watching = this.#watch();
  }

  async #watch(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      for (const pid of processIds()) {
        if (!this.#before.has(pid)) this.#look(pid);
      }
      await pause(100, this.#stop.signal).catch(() => undefined);
    }
  }

  #look(pid: string): void {
    for (const what of ["cmdline", "environ"]) {
      try {
        const content = readFileSync(`/proc/${pid}/${what}`, "latin1");
        if (content !== "") this.seen.set(content, `${what} of process ${pid} (${content.split("\0")[0] ?? ""})`);
      } catch {
        // It ended a moment ago.
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#watching;
  }
}

function processIds(): string[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name));
}
