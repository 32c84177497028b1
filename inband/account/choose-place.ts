import { CompletionCodeError } from "../../ipmi/errors.ts";
import type { Conversation } from "../conversation.ts";
import { refusalText } from "../read-parameter.ts";
import { type AccountPlan, type PlaceOptions, planAccount } from "./plan-account.ts";
import {
  type AccountScan,
  freeSlot,
  readSlot,
  type Slot,
  saysEmpty,
  scanAccounts,
  slotReader,
  unreadable,
} from "./scan-accounts.ts";
import { levelNumber, readAccess, type UserAccess } from "./user-state.ts";

export interface ChosenPlace extends AccountPlan {
  /** All names that were read; a name may sit in one slot only. */
  readonly takenNames: ReadonlySet<string>;
  /**
   * Further slots that seem to be empty, for a BMC that refuses a name in this one although it does not call it fixed.
   * To be looked at with `isStillEmpty` before one is used.
   */
  readonly otherSlots: readonly number[];
}

/** Whether our former account is on the BMC cannot be told: with a new one there might be two. */
export class FormerAccountUnreadableError extends Error {
  override readonly name = "FormerAccountUnreadableError";
  readonly code = "former-account-unreadable";

  constructor(slots: readonly { readonly id: number; readonly reason: string }[]) {
    const which = slots.map(({ id, reason }) => `${id}: ${reason}`).join("; ");
    super(
      `our former account was not found, but not all user IDs could be read (${which}), so it may be there. ` +
        "Nothing was changed: run again; if that does not help, reset the BMC or disable that user ID.",
    );
  }
}

/**
 * Reads who sits where and chooses the place of the account. A slot is not taken for empty because of a completion code
 * alone: before it is chosen its name is asked for again, and its rights must be those of nobody.
 * @throws NoFreeSlotError, SlotsUnreadableError, FormerAccountUnreadableError, InbandLockedError, CompletionCodeError,
 *   TransportError
 */
export async function choosePlace(
  conversation: Conversation,
  channel: number,
  options: PlaceOptions,
): Promise<ChosenPlace> {
  const { ourNames, ourSlot, userSlot } = options;
  let scan = await scanAccounts(conversation, channel);
  if (ourNames.length > 0 && !isFound(scan, ourNames, ourSlot)) {
    scan = await readAgain(conversation, scan);
    if (ourSlot !== "not expected" && !isFound(scan, ourNames, ourSlot)) {
      refuseIfUnread(await lookForRights(conversation, scan, ourSlot), ourSlot);
    }
  }
  for (;;) {
    const plan = planAccount(scan, options);
    const chosen = scan.slots.find(({ id }) => id === plan.slot);
    const sure = chosen?.state !== "empty" || chosen.presumed !== true;
    const seen = sure ? undefined : await lookCloser(conversation, channel, plan.slot, userSlot === plan.slot);
    if (seen === undefined) {
      const otherSlots = plan.replaces === undefined && userSlot === undefined ? emptySlots(scan, plan.slot) : [];
      return { ...plan, takenNames: namesOf(scan), otherSlots };
    }
    scan = withSlots(scan, [seen]);
  }
}

function namesOf({ slots }: AccountScan): ReadonlySet<string> {
  return new Set(slots.flatMap((slot) => (slot.state === "named" ? [slot.name] : [])));
}

/**
 * Whether a slot that seemed to be empty is: by the same closer look as the first one, because of a completion code alone no
 * slot is taken for empty.
 * @throws InbandLockedError, CompletionCodeError, TransportError
 */
export async function isStillEmpty(conversation: Conversation, channel: number, slot: number): Promise<boolean> {
  return (await lookCloser(conversation, channel, slot, false)) === undefined;
}

/** Slots that seem to be empty, in the order in which they are chosen, without one of them. */
function emptySlots(scan: AccountScan, without: number): number[] {
  const slots: number[] = [];
  let left = scan.slots.filter(({ id }) => id !== without);
  for (;;) {
    const free = freeSlot({ ...scan, slots: left });
    if (free === undefined) return slots;
    slots.push(free.id);
    left = left.filter(({ id }) => id !== free.id);
  }
}

/** Whether our account is where it should be; anywhere, if that is not known. An older one elsewhere is not the one in use. */
function isFound({ slots }: AccountScan, ourNames: readonly string[], ourSlot: PlaceOptions["ourSlot"]): boolean {
  const ours = slots.filter((slot) => slot.state === "named" && ourNames.includes(slot.name));
  return typeof ourSlot === "number" ? ours.some(({ id }) => id === ourSlot) : ours.length > 0;
}

function withSlots(scan: AccountScan, seen: readonly Slot[]): AccountScan {
  return { ...scan, slots: scan.slots.map((slot) => seen.find(({ id }) => id === slot.id) ?? slot) };
}

/** Our account must be somewhere: asks again where the BMC told no name. */
async function readAgain(conversation: Conversation, scan: AccountScan): Promise<AccountScan> {
  const read = slotReader(conversation);
  const seen: Slot[] = [];
  for (const slot of scan.slots) {
    if (slot.state === "named" || (slot.state === "empty" && slot.presumed !== true)) continue;
    const again = await read(slot.id);
    if (again !== "no such ID") seen.push(again);
  }
  return withSlots(scan, seen);
}

/** Where our account was, a completion code that means "empty" is not believed if the slot has rights: it may be there still. */
async function lookForRights(
  conversation: Conversation,
  scan: AccountScan,
  ourSlot: number | "unknown",
): Promise<AccountScan> {
  const seen: Slot[] = [];
  for (const slot of scan.slots) {
    if (slot.state !== "empty" || slot.presumed !== true) continue;
    if (ourSlot !== "unknown" && slot.id !== ourSlot) continue;
    const problem = await rightsOf(conversation, scan.channel, slot.id, true);
    if (problem !== undefined) seen.push(problem);
  }
  return withSlots(scan, seen);
}

/** @throws FormerAccountUnreadableError if the slot where our account was is not known to be without it */
function refuseIfUnread({ slots }: AccountScan, ourSlot: number | "unknown"): void {
  const unread = slots.flatMap((slot) => (slot.state === "unreadable" ? [slot] : []));
  const doubtful = ourSlot === "unknown" ? unread : unread.filter(({ id }) => id === ourSlot);
  if (ourSlot !== "unknown" && !slots.some(({ id }) => id === ourSlot)) {
    doubtful.push({ id: ourSlot, state: "unreadable", reason: "the BMC calls it out of range" });
  }
  if (doubtful.length > 0) throw new FormerAccountUnreadableError(doubtful);
}

/**
 * Looks closer at a slot that is empty by a completion code. Undefined if it is empty; else what it is.
 * @param isAskedFor an operator vouches for it: a privilege that is left over, or rights that are refused, do not matter then
 */
async function lookCloser(
  conversation: Conversation,
  channel: number,
  slot: number,
  isAskedFor: boolean,
): Promise<Slot | undefined> {
  const again = await readSlot(conversation, slot);
  if (again === "no such ID") return { id: slot, state: "unreadable", reason: "the BMC calls it out of range" };
  if (again.state !== "empty") return again;
  if (again.presumed !== true) return undefined;
  return await rightsOf(conversation, channel, slot, isAskedFor);
}

/** What speaks against a slot being empty: rights that somebody has, or that cannot be read. */
async function rightsOf(
  conversation: Conversation,
  channel: number,
  slot: number,
  isAskedFor: boolean,
): Promise<Slot | undefined> {
  try {
    const access = await readAccess(conversation, { channel, slot });
    if (isNobodys(access, isAskedFor)) return undefined;
    return { id: slot, state: "unreadable", reason: "it has no name, but rights" };
  } catch (error) {
    if (!(error instanceof CompletionCodeError)) throw error;
    if (isAskedFor && saysEmpty(error)) return undefined;
    return unreadable(slot, `neither its name nor its rights: ${refusalText(error)}`, error);
  }
}

function isNobodys({ enabled, access }: UserAccess, isAskedFor: boolean): boolean {
  const level = levelNumber(access.privilegeLimit);
  return enabled.status !== "enabled" && !access.ipmiMessaging && (isAskedFor || level === 0 || level === 15);
}
