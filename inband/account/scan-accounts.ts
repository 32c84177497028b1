import { getUserAccess } from "../../ipmi/commands/get-user-access.ts";
import { getUserName } from "../../ipmi/commands/get-user-name.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { type Conversation, sendPatiently } from "../conversation.ts";
import { isRefusal, refusalText } from "../read-parameter.ts";

/** One user ID of the BMC. */
export type Slot =
  | { readonly id: number; readonly state: "empty" }
  | { readonly id: number; readonly state: "named"; readonly name: string }
  /** It could not be read, so nobody knows whether it is free. */
  | { readonly id: number; readonly state: "unreadable"; readonly reason: string };

export interface AccountScan {
  readonly channel: number;
  /** How many user IDs the BMC says it has, 1 to 63. */
  readonly maxUserIds: number;
  /** User IDs 1 to this one have names that cannot be changed. */
  readonly fixedNameCount: number;
  /** User ID 2 and up, as far as they were read; ID 1 is the nameless user, whose name cannot be changed. */
  readonly slots: readonly Slot[];
}

/** The BMC does not let its own machine see or change accounts. */
export class InbandLockedError extends Error {
  override readonly name = "InbandLockedError";
  readonly code = "inband-locked";

  constructor(cause: CompletionCodeError) {
    super(
      `${cause.command}: the BMC refuses it to its own machine (${refusalText(cause)}: KCS restricted). ` +
        "Lift the lock in the BMC's settings, or give the service credentials by hand.",
      { cause },
    );
  }
}

/** Throws InbandLockedError for the code that says so, and everything else as it is. */
export function throwIfLocked(error: unknown): void {
  if (error instanceof CompletionCodeError && error.completionCode === CompletionCode.insufficientPrivilege) {
    throw new InbandLockedError(error);
  }
}

/** Where the BMC says that it has 0 user IDs: AMI's number, the smallest that was seen. */
const presumedUserIds = 10;

/**
 * How much of the table is read. "usual" is all of it on every board that was ever seen: 16 user IDs at most. A larger
 * table (ipmi_sim: 63) is read beyond them only until there is a place for a new account, because each ID costs a command
 * of up to 150 ms. Whoever looks for an account of ours reads "all".
 */
export type ScanExtent = "all" | "usual";

const usualUserIds = 16;

/** Where a new account can go: the first empty slot from 3 on whose name can be changed; else 2, many boards' own. */
export function freeSlot({ slots, fixedNameCount }: Pick<AccountScan, "slots" | "fixedNameCount">): Slot | undefined {
  const free = slots.filter(({ id, state }) => state === "empty" && id > fixedNameCount);
  return free.find(({ id }) => id >= 3) ?? free[0];
}

/**
 * Reads the names of the user IDs from 2 on, before anything is written: a name may sit in one slot only.
 * One command for the numbers and one for each ID.
 * @throws InbandLockedError if the BMC refuses its own machine; CompletionCodeError if it does not tell how many user
 *   IDs there are; TransportError
 */
export async function scanAccounts(
  conversation: Conversation,
  channel: number,
  extent: ScanExtent,
): Promise<AccountScan> {
  const { maxUserIds, fixedNameCount } = await readCounts(conversation, channel);
  const slots: Slot[] = [];
  for (let id = 2; id <= maxUserIds; id += 1) {
    if (extent === "usual" && id > usualUserIds && (freeSlot({ slots, fixedNameCount })?.id ?? 0) >= 3) break;
    const slot = await readSlot(conversation, id);
    if (slot === "no such ID") break;
    slots.push(slot);
  }
  return { channel, maxUserIds, fixedNameCount, slots };
}

async function readCounts(
  conversation: Conversation,
  channel: number,
): Promise<{ maxUserIds: number; fixedNameCount: number }> {
  try {
    const counts = await sendPatiently(conversation, getUserAccess, { channelNumber: channel, userId: 1 });
    const maxUserIds = counts.maxUserIds === 0 ? presumedUserIds : counts.maxUserIds;
    return { maxUserIds, fixedNameCount: counts.fixedNameCount };
  } catch (error) {
    if (error instanceof CompletionCodeError && closedCodes.has(error.completionCode))
      throw new InbandLockedError(error);
    throw error;
  }
}

/** With these a BMC refuses a command that every BMC has to know: D4h in most cases, the others where it is closed altogether. */
const closedCodes: ReadonlySet<number> = new Set([
  CompletionCode.insufficientPrivilege,
  CompletionCode.notSupportedInPresentState,
  CompletionCode.subFunctionDisabled,
  CompletionCode.invalidCommand,
]);

async function readSlot(conversation: Conversation, id: number): Promise<Slot | "no such ID"> {
  try {
    const { userName } = await sendPatiently(conversation, getUserName, { userId: id });
    return isEmptyName(userName) ? { id, state: "empty" } : { id, state: "named", name: userName };
  } catch (error) {
    throwIfLocked(error);
    if (!isRefusal(error)) throw error;
    if (error instanceof CompletionCodeError) {
      if (error.completionCode === CompletionCode.parameterOutOfRange) return "no such ID";
      if (emptyCodes.has(error.completionCode)) return { id, state: "empty" };
    }
    return { id, state: "unreadable", reason: refusalText(error) };
  }
}

/** CCh: Sun X4140, Inventec 5441, Intel S5500WBV. CBh: Lenovo. Documented to mean that the slot has no name. */
const emptyCodes: ReadonlySet<number> = new Set([CompletionCode.invalidDataField, CompletionCode.notPresent]);

/** 16 times 00h as specified; 16 times FFh (pyghmi writes it where zeros are refused); HP's words. */
export function isEmptyName(name: string): boolean {
  return name === "" || /^\xff+$/.test(name) || name === "(Empty User)";
}
