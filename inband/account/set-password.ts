import { CompletionCode } from "../../ipmi/completion-code.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { isClosed } from "../closed-access.ts";
import { type Conversation, InterruptedWriteError, isNotNow, type Patience, persistent } from "../conversation.ts";
import { AccountRefusedError } from "./account-error.ts";
import { InbandLockedError, throwIfLocked } from "./inband-locked.ts";
import { mostSends } from "./unless-it-is-so.ts";
import { hasName } from "./user-state.ts";
import type { AccountPassword, EscrowedPasswords, WantedAccount } from "./wanted-account.ts";
import { sendPassword, writeName } from "./write-user.ts";

/**
 * Sets a password: the current one, and while the BMC refuses it the next one. A refused password is not sent again in
 * another size, because an answer can get lost: then nobody would know which of the two the BMC has.
 * @throws AccountRefusedError saying what was tried
 */
export async function setPassword(
  conversation: Conversation,
  wanted: WantedAccount,
  passwords: EscrowedPasswords,
): Promise<void> {
  let patience = persistent;
  for (;;) {
    const refused = await trySetting(conversation, wanted, passwords.current, patience);
    if (refused === undefined) return;
    // Waited for once, FFh is this BMC's way to refuse.
    if (refused.completionCode === CompletionCode.unspecified) patience = { ...persistent, onUnspecified: 2 };
    if (!(await passwords.next(refused, conversation.signal))) {
      throw AccountRefusedError.ofPasswords(wanted.slot, passwords.triedText, refused);
    }
  }
}

/** Undefined if the BMC took it. A write that broke off is sent again, and so is one for a slot that lost its name. */
async function trySetting(
  conversation: Conversation,
  wanted: WantedAccount,
  password: AccountPassword,
  patience: Patience,
): Promise<CompletionCodeError | undefined> {
  for (let sends = 1; ; sends += 1) {
    try {
      await sendPassword(conversation, wanted, password, patience);
      return undefined;
    } catch (error) {
      throwIfLocked(error);
      const refused = isRefusedPassword(error) ? error : undefined;
      if (refused === undefined && !(error instanceof InterruptedWriteError)) throw error;
      const named = await hasName(conversation, wanted);
      if (!named) {
        conversation.pace?.writeWasLost();
        await writeName(conversation, wanted);
      }
      if (refused !== undefined && (named || sends > 1)) {
        if (isClosed(refused)) throw new InbandLockedError(refused);
        return refused;
      }
      if (sends === mostSends) throw error;
    }
  }
}

/**
 * CCh mostly, 8Fh on Dell C6220, and FFh from OpenBMC's PAM. The other codes that mean "busy" decide nothing.
 */
function isRefusedPassword(error: unknown): error is CompletionCodeError {
  if (!(error instanceof CompletionCodeError)) return false;
  return !isNotNow(error) || error.completionCode === CompletionCode.unspecified;
}
