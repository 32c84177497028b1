import { CompletionCode } from "../../ipmi/completion-code.ts";
import type { CompletionCodeError } from "../../ipmi/errors.ts";
import { refusalText } from "../read-parameter.ts";
import type { WantedAccount } from "./wanted-account.ts";

/** The BMC answered a step of the account's making in a way that cannot be right. */
export class AccountError extends Error {
  override readonly name = "AccountError";
  readonly code = "account";
}

/** The BMC does not take the name, or no password that was tried. */
export class AccountRefusedError extends Error {
  override readonly name = "AccountRefusedError";
  readonly code = "account-refused";
  readonly what: "name" | "password";
  override readonly cause: CompletionCodeError;

  private constructor(what: "name" | "password", problem: string, cause: CompletionCodeError) {
    super(problem, { cause });
    this.what = what;
    this.cause = cause;
  }

  static ofName(slot: number, userName: string, cause: CompletionCodeError): AccountRefusedError {
    return new AccountRefusedError(
      "name",
      `the BMC refuses the name "${userName}" for user ID ${slot}: ${cause.command}: ${refusalText(cause)}. ` +
        "That ID may be fixed, or the BMC's account policy wants other names: name another ID (rivet.user_slot=N) or " +
        "change the policy, then run again.",
      cause,
    );
  }

  /** @param tried the forms that were tried and the codes that were answered; never a password */
  static ofPasswords(slot: number, tried: string, cause: CompletionCodeError): AccountRefusedError {
    return new AccountRefusedError(
      "password",
      `the BMC refuses every password for user ID ${slot}, or does not keep it as it was (80h, 81h). Tried: ${tried}. ` +
        "Its password policy wants something else: relax it in the BMC's settings, then run again.",
      cause,
    );
  }
}

/** While the account was made, the slot got a name that is not ours. */
export class SlotTakenError extends Error {
  override readonly name = "SlotTakenError";
  readonly code = "slot-taken";

  constructor({ slot, userName }: Pick<WantedAccount, "slot" | "userName">, found: string) {
    super(
      `user ${slot}: its name was to be "${userName}", but the BMC tells "${found}": somebody else makes accounts there ` +
        "at the same time. It is left to them: run again.",
    );
  }
}

/** Whether the request was of a length that the BMC does not take: C7h, C8h (Supermicro X11), 81h (Sun X4140). */
export function isWrongLength({ completionCode }: CompletionCodeError): boolean {
  return (
    completionCode === CompletionCode.requestLengthInvalid ||
    completionCode === CompletionCode.requestLengthLimitExceeded ||
    completionCode === 0x81
  );
}
