import { AccountRefusedError } from "../inband/account/account-error.ts";
import { applyAccount } from "../inband/account/apply-account.ts";
import { InbandLockedError, throwIfLocked } from "../inband/account/inband-locked.ts";
import { hasName } from "../inband/account/user-state.ts";
import { isClosed } from "../inband/closed-access.ts";
import { type Conversation, isNotNow } from "../inband/conversation.ts";
import type { EscrowedAccount } from "./escrowed-account.ts";

/** A slot that was looked at so short a time ago is as it was then, ms. */
const freshMs = 2_000;

/**
 * Makes the account on the BMC; where that refuses the name, under its former name or in another slot.
 * @returns what an operator should know, one sentence each
 * @throws SlotTakenError if somebody has taken the slot while the service stored the account: nothing is written there;
 *   what applyAccount throws; ServiceError
 */
export async function setAccount(conversation: Conversation, account: EscrowedAccount): Promise<readonly string[]> {
  for (;;) {
    await lookAgain(conversation, account);
    try {
      return await applyAccount(conversation, account.wanted, account);
    } catch (error) {
      if (!(error instanceof AccountRefusedError) || error.what !== "name") throw error;
      if (!(await account.moveOn(error, conversation))) throw inTheEnd(error);
    }
  }
}

async function lookAgain(conversation: Conversation, { wanted, lookedAt }: EscrowedAccount): Promise<void> {
  if (conversation.clock.now() - lookedAt <= freshMs) return;
  try {
    await hasName(conversation, wanted);
  } catch (error) {
    throwIfLocked(error);
    throw error;
  }
}

/** What it means that a name was refused wherever it was tried. */
function inTheEnd(refused: AccountRefusedError): Error {
  const { cause } = refused;
  if (isClosed(cause)) return new InbandLockedError(cause);
  return isNotNow(cause) ? cause : refused;
}
