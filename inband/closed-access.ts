import { CompletionCode } from "../ipmi/completion-code.ts";
import { CompletionCodeError } from "../ipmi/errors.ts";

/**
 * The codes with which a BMC refuses its own machine what every BMC has to know: D4h where a lock is documented, the others
 * where the interface is closed altogether. On a command that is optional they prove nothing (Supermicro X8 answers D4h
 * to Get System Info for no reason).
 */
const closedCodes: ReadonlySet<number> = new Set([
  CompletionCode.insufficientPrivilege,
  CompletionCode.notSupportedInPresentState,
  CompletionCode.subFunctionDisabled,
  CompletionCode.invalidCommand,
]);

/** Whether the BMC refuses a command as it does where in-band access is closed. */
export function isClosed(error: unknown): error is CompletionCodeError {
  return error instanceof CompletionCodeError && closedCodes.has(error.completionCode);
}
