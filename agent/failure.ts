import { ExitCode } from "../proto/exit-code.ts";
import { exitCodeOf } from "./outcome.ts";

/** How a failed run looks from outside. */
export interface Failure {
  readonly exitCode: ExitCode;
  /** For people: what happened and what to do. A bug of ours comes with its stack. */
  readonly text: string;
}

/** The exit code and text for whatever was thrown. */
export function explainFailure(thrown: unknown): Failure {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const exitCode = codeOf(error);
  if (exitCode !== ExitCode.bug) return { exitCode, text: error.message };
  return { exitCode, text: `This is a bug of metal-rivet; please report it.\n${stackOf(error)}` };
}

function codeOf(error: Error): ExitCode {
  switch (error.name) {
    case "NetworkError":
    case "DocumentUnavailableError":
      return ExitCode.serviceUnavailable;
    default:
      return wasEndedEarly(error) || wasEndedEarly(error.cause) ? ExitCode.temporary : exitCodeOf(error);
  }
}

/** By the limit of the whole run, or by a signal. */
const wasEndedEarly = (error: unknown): boolean =>
  error instanceof Error && (error.name === "RunLimitError" || error.name === "SignalError");

/** The stacks of an error and of its causes. */
function stackOf(error: Error): string {
  const own = error.stack ?? String(error);
  return error.cause instanceof Error ? `${own}\ncaused by ${stackOf(error.cause)}` : own;
}
