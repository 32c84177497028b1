import type { EventEmitter } from "node:events";
import { ExitCode } from "../../proto/exit-code.ts";
import type { Console } from "../console.ts";

/** Somebody asked the program to end. Exit code 75: the next run continues. */
export class SignalError extends Error {
  override readonly name = "SignalError";
  readonly code = "signal";

  constructor(signal: string) {
    super(`ended early by ${signal}; the next run goes on from there`);
  }
}

/**
 * Ends the run in order when somebody asks for that: the step under way is told to end, and the service hears of it.
 * A second signal has no patience.
 * @param from the process
 * @param endNow ends the process with this exit code
 */
export function endOnSignals(from: EventEmitter, ends: AbortController, endNow: (exitCode: number) => void): void {
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    from.on(signal, () => {
      if (ends.signal.aborted) endNow(ExitCode.temporary);
      else ends.abort(new SignalError(signal));
    });
  }
}

/** What nobody caught is shown, and ends the run: what it stands on may be broken. Without this it would end the program, unsaid. */
export function endOnBugs(from: EventEmitter, ends: AbortController, console: () => Pick<Console, "problem">): void {
  const show = (thrown: unknown): void => {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    console().problem(`a bug of metal-rivet: ${error.stack}`);
    ends.abort(error);
  };
  from.on("uncaughtException", show);
  from.on("unhandledRejection", show);
}

/** What `work` gives, unless the signal comes first: then its reason is thrown, and nobody waits for the work any more. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  work.catch(() => undefined);
  const settled = new AbortController();
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true, signal: settled.signal });
  });
  try {
    return await Promise.race([work, ended]);
  } finally {
    settled.abort();
  }
}
