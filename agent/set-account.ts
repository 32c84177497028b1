import { AccountRefusedError } from "../inband/account/account-error.ts";
import { applyAccount } from "../inband/account/apply-account.ts";
import type { Conversation } from "../inband/conversation.ts";
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
      if (!(await account.moveOn(error, conversation.signal))) throw error;
    }
  }
}
