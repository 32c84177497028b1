import type { Command } from "../../ipmi/command.ts";
import { getUserAccess } from "../../ipmi/commands/get-user-access.ts";
import { getUserName } from "../../ipmi/commands/get-user-name.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { type PrivilegeLevel, privilegeLevels } from "../../ipmi/privilege-level.ts";
import { unfilledName } from "../../ipmi/user-name.ts";
import { type Conversation, isNotNow, type Patience, persistent, sendPatiently } from "../conversation.ts";
import { AccountError, SlotTakenError } from "./account-error.ts";
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
 * @throws SlotTakenError if it has somebody else's: then nothing more is written there; AccountError if the BMC has changed ours
 */
export async function hasName(conversation: Conversation, wanted: WantedAccount): Promise<boolean> {
  const name = await readName(conversation, wanted.slot);
  if (name === wanted.userName) return true;
  if (isEmptyName(name) || name === wanted.replaces) return false;
  if (isChangedName(name, wanted.userName)) {
    throw new AccountError(
      `user ${wanted.slot}: the BMC has made "${name}" of the name "${wanted.userName}", so nobody can log in with it. ` +
        "Give the service an account by hand (bmcctl update).",
    );
  }
  throw new SlotTakenError(wanted, name);
}

/** How many characters a BMC may have cut off a name of ours: what is left is still random enough to be nobody else's. */
const mostCutOff = 5;

/** Whether a name is what a BMC has made of ours: in other letters, cut off, or with something behind it. */
export function isChangedName(told: string, ours: string): boolean {
  const [name, wanted] = [told.toLowerCase(), ours.toLowerCase()];
  const related = name.startsWith(wanted) || (wanted.startsWith(name) && name.length >= wanted.length - mostCutOff);
  return told !== ours && related;
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
