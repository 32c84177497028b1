import { CompletionCode } from "../../ipmi/completion-code.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { isClosed } from "../closed-access.ts";
import { refusalText } from "../read-parameter.ts";

/** The BMC does not let its own machine see or change accounts. */
export class InbandLockedError extends Error {
  override readonly name = "InbandLockedError";
  readonly code = "inband-locked";

  constructor(cause: CompletionCodeError) {
    super(
      `${cause.command}: the BMC refuses it to its own machine (${refusalText(cause)}: KCS restricted). ` +
        "Lift the lock in the BMC's settings, or give the service credentials by hand.",
      { cause },
    );
  }
}

/** Throws InbandLockedError for the code that says so, and does nothing else. */
export function throwIfLocked(error: unknown): void {
  if (error instanceof CompletionCodeError && error.completionCode === CompletionCode.insufficientPrivilege) {
    throw new InbandLockedError(error);
  }
}

/** The same for the commands without which there is no account: to these every code of a closed interface says so. */
export function throwIfWithheld(error: unknown): void {
  if (isClosed(error)) throw new InbandLockedError(error);
}
