import { AccountRefusedError } from "../inband/account/account-error.ts";
import { applyAccount } from "../inband/account/apply-account.ts";
import { InbandLockedError } from "../inband/account/inband-locked.ts";
import { isClosed } from "../inband/closed-access.ts";
import { type Conversation, isNotNow } from "../inband/conversation.ts";
import type { EscrowedAccount } from "./escrowed-account.ts";

/**
 * Makes the account on the BMC; where that refuses the name, under its former name or in another slot.
 * @returns what an operator should know, one sentence each
 * @throws as applyAccount; ServiceError
 */
export async function setAccount(conversation: Conversation, account: EscrowedAccount): Promise<readonly string[]> {
  for (;;) {
    try {
      return await applyAccount(conversation, account.wanted, account);
    } catch (error) {
      if (!(error instanceof AccountRefusedError) || error.what !== "name") throw error;
      if (!(await account.moveOn(error, conversation))) throw inTheEnd(error);
    }
  }
}

/** What it means that a name was refused wherever it was tried. */
function inTheEnd(refused: AccountRefusedError): Error {
  const { cause } = refused;
  if (isClosed(cause)) return new InbandLockedError(cause);
  return isNotNow(cause) ? cause : refused;
}
