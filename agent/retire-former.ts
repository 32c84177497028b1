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
 * BMC from remote. One with which the service got in instead is left alone: it is the only one that is proved. What is done and what is not is reported as findings.
 */
export async function retireFormer({ conversation, account, enrolment }: Retirement): Promise<void> {
  const { former, wanted } = account;
  let left = 0;
  for (const each of former) {
    if (each.userName === enrolment.loggedInAs) {
      const { slot, userName } = each;
      enrolment.addFindings([
        `User ID ${slot}, "${userName}", a former account of ours: left alone, the service got in with it and not with "${wanted.userName}".`,
      ]);
      left += 1;
      continue;
    }
    const { text, mayPass } = await retireAccount(conversation, wanted.channel, each);
    enrolment.addFindings([text]);
    if (mayPass) left += 1;
  }
  // Another run tries those that a busy BMC kept, three times at most. What the BMC refuses it would refuse the next time, too.
  await enrolment.reportFormerAccounts(left, conversation.signal);
}
