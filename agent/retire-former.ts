import { retireAccount } from "../inband/account/retire-account.ts";
import type { Conversation } from "../inband/conversation.ts";
import type { Enrolment } from "./enrolment.ts";
import type { EscrowedAccount } from "./escrowed-account.ts";

/** What a retirement needs. */
export interface Retirement {
  readonly conversation: Conversation;
  /** The account that works now, with those that were before it. */
  readonly account: EscrowedAccount;
  readonly enrolment: Enrolment;
}

/**
 * Closes the other accounts of ours: those that the service knows, and those of our shape that nobody remembers. Only to
 * be called once the service has logged in with the new account: before that a former one may be the only one that opens the
 * BMC from remote. What is done and what is not is reported as findings.
 */
export async function retireFormer({ conversation, account, enrolment }: Retirement): Promise<void> {
  const { former, wanted } = account;
  for (const each of former) {
    enrolment.addFindings([await retireAccount(conversation, wanted.channel, each)]);
  }
  // What the BMC does not let go it would not let go the next time either: the finding tells it, and no other run tries.
  await enrolment.reportFormerAccounts(0, conversation.signal);
}
