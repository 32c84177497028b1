import { getUserAccess } from "../../ipmi/commands/get-user-access.ts";
import { getUserName } from "../../ipmi/commands/get-user-name.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { unfilledName } from "../../ipmi/user-name.ts";
import {
  type Conversation,
  impatient,
  isNotNow,
  NoAnswerError,
  type Patience,
  persistent,
  sendPatiently,
} from "../conversation.ts";
import { isRefusal, refusalText } from "../read-parameter.ts";
import { InbandLockedError, isLocked, throwIfLocked, unlessClosed } from "./inband-locked.ts";

/** One user ID of the BMC. */
export type Slot =
  | {
      readonly id: number;
      readonly state: "empty";
      /**
       * Told by a completion code that means "no name" on some boards, or as blanks: before the slot is used its rights must
       * be seen to be nobody's.
       */
      readonly presumed?: true;
    }
  | { readonly id: number; readonly state: "named"; readonly name: string }
  /** It could not be read, so nobody knows whether it is free. */
  | {
      readonly id: number;
      readonly state: "unreadable";
      readonly reason: string;
      /** Whether another run may well be able to read it: the BMC was busy, or did not answer. */
      readonly mayPass?: boolean;
    };

export interface AccountScan {
  readonly channel: number;
  /** How many user IDs the BMC says it has, 1 to 63. */
  readonly maxUserIds: number;
  /** User IDs 1 to this one have names that cannot be changed. */
  readonly fixedNameCount: number;
  /** User ID 2 and up, as far as they were read; ID 1 is the nameless user, whose name cannot be changed. */
  readonly slots: readonly Slot[];
}

/** Where the BMC says that it has 0 user IDs: AMI's number, the smallest that was seen. */
const presumedUserIds = 10;

/**
 * Where a new account can go: the first empty slot from 3 on whose name can be changed; else 2, many boards' own. Before
 * those that are empty by a completion code come those whose name the BMC told.
 */
export function freeSlot({ slots, fixedNameCount }: Pick<AccountScan, "slots" | "fixedNameCount">): Slot | undefined {
  const free = slots.filter((slot) => slot.state === "empty" && slot.id > fixedNameCount);
  const told = free.filter((slot) => slot.state === "empty" && slot.presumed !== true);
  return [...told, ...free].find(({ id }) => id >= 3) ?? told[0] ?? free[0];
}

/**
 * Reads the names of all user IDs from 2 on, before anything is written: a name may sit in one slot only, and an account
 * of ours may sit in any. One command for the numbers and one for each ID.
 * @throws InbandLockedError if the BMC refuses its own machine; what Get User Access is refused with if the BMC does not
 *   tell how many user IDs there are; TransportError
 */
export async function scanAccounts(conversation: Conversation, channel: number): Promise<AccountScan> {
  const { maxUserIds, fixedNameCount } = await readCounts(conversation, channel);
  const read = slotReader(conversation);
  const slots: Slot[] = [];
  const locked: InbandLockedError[] = [];
  for (let id = 2; id <= maxUserIds; id += 1) {
    const slot = await read(id).catch((error: unknown) => {
      if (!(error instanceof InbandLockedError)) throw error;
      locked.push(error);
      return unreadable(id, refusalText(error.cause), error.cause);
    });
    if (slot === "no such ID") break;
    slots.push(slot);
    // A board may keep one account to itself. Where not even another ID can be read, the interface is closed.
    if (slots.length === mostLocked && locked.length === mostLocked) break;
  }
  const [first] = locked;
  if (first !== undefined && locked.length === slots.length) throw first;
  return { channel, maxUserIds, fixedNameCount, slots };
}

/** So many user IDs are asked for their names before the BMC is called locked. */
const mostLocked = 2;

/** The numbers come with the rights of any user ID: where those of one are refused, another one tells them. */
const idsWithCounts = [1, 2, 3] as const;

async function readCounts(
  conversation: Conversation,
  channel: number,
): Promise<{ maxUserIds: number; fixedNameCount: number }> {
  let refused: unknown;
  for (const userId of idsWithCounts) {
    try {
      const request = { channelNumber: channel, userId };
      const counts = await unlessClosed(() => sendPatiently(conversation, getUserAccess, request, persistent));
      const maxUserIds = counts.maxUserIds === 0 ? presumedUserIds : counts.maxUserIds;
      return { maxUserIds, fixedNameCount: counts.fixedNameCount };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      refused ??= error;
    }
  }
  throw refused;
}

/**
 * Reads slots one after the other. A BMC that was busy for as long as is waited is asked with less patience for the next
 * one, until it answers again: 63 user IDs would take minutes.
 */
export function slotReader(conversation: Conversation): (id: number) => Promise<Slot | "no such ID"> {
  let patience: Patience | undefined;
  return async (id) => {
    const slot = await readSlot(conversation, id, patience);
    const wasBusy = slot !== "no such ID" && slot.state === "unreadable" && slot.mayPass === true;
    patience = wasBusy ? impatient : undefined;
    return slot;
  };
}

/** Reads one name. What ends the scan is asked for again: that the ID is out of range, or access locked. */
export async function readSlot(
  conversation: Conversation,
  id: number,
  patience?: Patience,
): Promise<Slot | "no such ID"> {
  try {
    const slot = await readName(conversation, id, patience);
    if (slot !== "no such ID") return slot;
  } catch (error) {
    if (!isLocked(error)) throw error;
  }
  try {
    return await readName(conversation, id, patience);
  } catch (error) {
    throwIfLocked(error);
    throw error;
  }
}

async function readName(
  conversation: Conversation,
  id: number,
  patience: Patience | undefined,
): Promise<Slot | "no such ID"> {
  try {
    const { userName } = await sendPatiently(conversation, getUserName, { userId: id }, patience);
    if (!isEmptyName(userName)) return { id, state: "named", name: unfilledName(userName) };
    return { id, state: "empty", ...(userName.startsWith(" ") ? { presumed: true } : {}) };
  } catch (error) {
    if (!isRefusal(error) || isLocked(error)) throw error;
    if (error instanceof CompletionCodeError) {
      const { completionCode } = error;
      if (completionCode === CompletionCode.parameterOutOfRange) return "no such ID";
      if (saysEmpty(error)) return { id, state: "empty", presumed: true };
    }
    return unreadable(id, refusalText(error), error);
  }
}

/** A slot that nobody can tell anything of, because of `error`. */
export function unreadable(id: number, reason: string, error: unknown): Slot {
  const mayPass = isNotNow(error) || error instanceof NoAnswerError;
  return { id, state: "unreadable", reason, ...(mayPass ? { mayPass } : {}) };
}

/** CCh: Sun X4140, Inventec 5441, Intel S5500WBV. CBh: Lenovo. Documented to mean that the slot has no name. */
export function saysEmpty({ completionCode }: CompletionCodeError): boolean {
  return completionCode === CompletionCode.invalidDataField || completionCode === CompletionCode.notPresent;
}

/** 16 times 00h as specified; 16 times FFh (pyghmi writes it where zeros are refused); HP's words; blanks. */
export function isEmptyName(name: string): boolean {
  return name === "" || /^(\xff+| +)$/.test(name) || name === "(Empty User)";
}
