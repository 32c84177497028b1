import { CompletionCodeError } from "../../ipmi/errors.ts";
import type { Conversation } from "../conversation.ts";
import { AccountRefusedError } from "./account-error.ts";
import { throwIfLocked } from "./inband-locked.ts";
import { allowSol, openChannel } from "./open-channel.ts";
import { proveAccount } from "./prove-account.ts";
import { setPassword } from "./set-password.ts";
import { hasAccess, tryReadingAccess, type UserAccess } from "./user-state.ts";
import type { EscrowedPasswords, WantedAccount } from "./wanted-account.ts";
import { enable, writeAccess, writeName } from "./write-user.ts";

/**
 * Makes the account, in the order that all known BMCs take: name, password, access, enable. Then the channel and SOL,
 * as far as the BMC lets.
 *
 * In the good case six commands: Set User Name, Set User Password (set), Set User Access with its fourth byte, Set User
 * Password (enable, 18 bytes), Get Channel Access, Set User Payload Access. In a slot that was ours Get User Access comes
 * first, and of the four writes those are left out that are so already. What was written is read back by `proveAccount`;
 * here only where an answer was not a plain 00h.
 * @returns what an operator should know, one sentence each
 * @throws InbandLockedError, AccountRefusedError, AccountError, CompletionCodeError, InterruptedWriteError, TransportError
 */
export async function applyAccount(
  conversation: Conversation,
  wanted: WantedAccount,
  passwords: EscrowedPasswords,
): Promise<readonly string[]> {
  try {
    const before = wanted.replaces === undefined ? undefined : await tryReadingAccess(conversation, wanted);
    if (wanted.replaces !== wanted.userName) await writeName(conversation, wanted);
    await setPasswordOrRenameBack(conversation, wanted, passwords);
    const told = before instanceof CompletionCodeError ? undefined : before;
    const findings = await admit(conversation, wanted, passwords, told);
    return [...findings, ...(await openChannel(conversation, wanted)), ...(await allowSol(conversation, wanted))];
  } catch (error) {
    throwIfLocked(error);
    throw error;
  }
}

/** An account that a BMC lets nobody change stays as it was: with its former name the service gets in as before. */
async function setPasswordOrRenameBack(
  conversation: Conversation,
  wanted: WantedAccount,
  passwords: EscrowedPasswords,
): Promise<void> {
  try {
    await setPassword(conversation, wanted, passwords);
  } catch (error) {
    if (error instanceof AccountRefusedError && wanted.replaces !== undefined) {
      const former = { ...wanted, userName: wanted.replaces, replaces: wanted.userName };
      // If that fails too, the service still knows both names: the refusal is what has to be told.
      await writeName(conversation, former).catch(() => undefined);
    }
    throw error;
  }
}

/** Rights, then enabling. A refusal can mean that name or password were lost: then all is looked at and put right. */
async function admit(
  conversation: Conversation,
  wanted: WantedAccount,
  passwords: EscrowedPasswords,
  before: UserAccess | undefined,
): Promise<readonly string[]> {
  try {
    if (before === undefined || !hasAccess(before, wanted)) await writeAccess(conversation, wanted);
    if (before?.enabled.status !== "enabled") await enable(conversation, wanted);
    return [];
  } catch (error) {
    throwIfLocked(error);
    if (!(error instanceof CompletionCodeError)) throw error;
    return (await proveAccount(conversation, wanted, passwords)).findings;
  }
}
