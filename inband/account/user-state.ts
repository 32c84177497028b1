import type { Command } from "../../ipmi/command.ts";
import { getUserAccess } from "../../ipmi/commands/get-user-access.ts";
import { getUserName } from "../../ipmi/commands/get-user-name.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { type PrivilegeLevel, privilegeLevels } from "../../ipmi/privilege-level.ts";
import { unfilledName } from "../../ipmi/user-name.ts";
import { type Conversation, isNotNow, type Patience, persistent, sendPatiently } from "../conversation.ts";
import { SlotTakenError } from "./account-error.ts";
import { isLocked } from "./inband-locked.ts";
import { isEmptyName, saysEmpty } from "./scan-accounts.ts";
import type { WantedAccount } from "./wanted-account.ts";

export type UserAccess = typeof getUserAccess extends Command<infer _, infer P> ? P : never;

/** The rights of the slot as they are now. */
export function readAccess(
  conversation: Conversation,
  { channel, slot }: Pick<WantedAccount, "channel" | "slot">,
  patience?: Patience,
): Promise<UserAccess> {
  return sendPatiently(conversation, getUserAccess, { channelNumber: channel, userId: slot }, patience);
}

/**
 * The rights of the slot, or with what code the BMC refuses to tell them, twice. A slot was never seen of which that is so,
 * but it is no reason to give up an account that works.
 * @throws what sending throws, also CompletionCodeError where the BMC is busy or locked
 */
export async function tryReadingAccess(
  conversation: Conversation,
  place: Pick<WantedAccount, "channel" | "slot">,
): Promise<UserAccess | CompletionCodeError> {
  for (let again = true; ; again = false) {
    try {
      return await readAccess(conversation, place, persistent);
    } catch (error) {
      if (!(error instanceof CompletionCodeError) || isNotNow(error) || isLocked(error)) throw error;
      if (!again) return error;
    }
  }
}

/** Whether the account may use IPMI on the channel with the privilege that is wanted. */
export function hasAccess({ access }: UserAccess, wanted: WantedAccount): boolean {
  return access.ipmiMessaging && !access.callbackOnly && levelNumber(access.privilegeLimit) === wanted.privilege;
}

/**
 * Whether the slot has our name now.
 * @throws SlotTakenError if it has somebody else's: then nothing more is written there
 */
export async function hasName(conversation: Conversation, wanted: WantedAccount): Promise<boolean> {
  const name = await readName(conversation, wanted.slot);
  if (name === wanted.userName) return true;
  if (isEmptyName(name) || name === wanted.replaces) return false;
  throw new SlotTakenError(wanted, name);
}

/** Empty also where the BMC answers with a code that means it. */
async function readName(conversation: Conversation, slot: number): Promise<string> {
  try {
    return unfilledName((await sendPatiently(conversation, getUserName, { userId: slot }, persistent)).userName);
  } catch (error) {
    if (error instanceof CompletionCodeError && saysEmpty(error)) return "";
    throw error;
  }
}

export function levelNumber(level: PrivilegeLevel): number {
  return typeof level === "number" ? level : privilegeLevels[level];
}
