import type { CompletionCodeError } from "../../ipmi/errors.ts";
import type { PasswordForm } from "../../ipmi/password-form.ts";

/** The account as it is to be, but for its password. */
export interface WantedAccount {
  /** LAN channel on which it gets access. */
  readonly channel: number;
  /** User ID. */
  readonly slot: number;
  readonly userName: string;
  /** 4 is Administrator. */
  readonly privilege: number;
  /** The name that the slot has now; undefined if it is empty. */
  readonly replaces?: string;
}

export interface AccountPassword {
  /** ASCII, without fill. The owner wipes it. */
  readonly characters: Uint8Array;
  readonly form: PasswordForm;
}

/** The passwords of an account, each of which the service has stored before it is told here. */
export interface EscrowedPasswords {
  /** The one to set; after that the one that the BMC took. */
  readonly current: AccountPassword;
  /** What was refused and with which codes, for people. */
  readonly triedText: string;
  /**
   * Makes another password the current one, in another form, and has it stored.
   * @param refused how the present one was refused, or how its test ended
   * @returns false if enough were refused
   */
  next(refused: CompletionCodeError, signal: AbortSignal): Promise<boolean>;
}
