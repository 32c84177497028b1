import { CompletionCode } from "../../ipmi/completion-code.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { isClosed } from "../closed-access.ts";
import { refusalText } from "../read-parameter.ts";

/** The BMC does not let its own machine see or change accounts. */
export class InbandLockedError extends Error {
  override readonly name = "InbandLockedError";
  readonly code = "inband-locked";
  override readonly cause: CompletionCodeError;

  constructor(cause: CompletionCodeError) {
    super(
      `${cause.command}: the BMC refuses it to its own machine (${refusalText(cause)}: KCS restricted). ` +
        "Lift the lock in the BMC's settings, or give the service credentials by hand.",
      { cause },
    );
    this.cause = cause;
  }
}

/** Whether the BMC refuses for lack of privilege, D4h. */
export function isLocked(error: unknown): error is CompletionCodeError {
  return error instanceof CompletionCodeError && error.completionCode === CompletionCode.insufficientPrivilege;
}

/** Throws InbandLockedError for that code, and does nothing else. */
export function throwIfLocked(error: unknown): void {
  if (isLocked(error)) throw new InbandLockedError(error);
}

/**
 * Sends one of the commands without which there is no account: to these every code of a closed interface says so, if it is
 * said twice. BMCs that boot were seen to answer such codes now and then.
 * @throws InbandLockedError, and what `send` throws
 */
export async function unlessClosed<T>(send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (error) {
    if (!isClosed(error)) throw error;
  }
  try {
    return await send();
  } catch (error) {
    if (isClosed(error)) throw new InbandLockedError(error);
    throw error;
  }
}
