import type { EventEmitter } from "node:events";
import type { Console } from "../console.ts";

/** What nobody caught, as the runs of the init see it. */
export interface Bugs {
  /** For a run that begins now: it ends when something is thrown that nobody catches, because what it stands on may be broken. */
  nextRun(): AbortSignal;
}

/**
 * Keeps the process alive whatever happens: without these listeners Node would end it, and the kernel with it.
 * @param from the process
 */
export function survive(from: EventEmitter, console: () => Pick<Console, "note" | "problem">): Bugs {
  let run = new AbortController();
  const show = (thrown: unknown): void => {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    console().problem(`a bug of metal-rivet: ${error.stack}`);
    run.abort(error);
  };
  from.on("uncaughtException", show);
  from.on("unhandledRejection", show);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    from.on(signal, () => console().note(`${signal}: an init does not end; use the machine's power button`));
  }
  return {
    nextRun() {
      run = new AbortController();
      return run.signal;
    },
  };
}
