import { hasOurShape } from "./credentials.ts";
import { type AccountScan, freeSlot, type Slot } from "./scan-accounts.ts";

/** What is known before the BMC is asked. */
export interface PlaceOptions {
  /** The user names that were ever put into escrow for this machine: accounts of ours. */
  readonly ourNames: readonly string[];
  /** Where our account should be: its user ID, "unknown" if one of them, "not expected" if it need not be there. */
  readonly ourSlot: number | "unknown" | "not expected";
  /**
   * With which the names of our accounts begin. One that has exactly their shape is ours too, although the service does
   * not know it; undefined if none may be taken for that.
   */
  readonly namePrefix?: string | undefined;
  /** The user ID that an operator asks for. */
  readonly userSlot?: number | undefined;
}

/** An account of ours beside the new one. */
export interface FormerAccount {
  /** User ID. */
  readonly slot: number;
  readonly userName: string;
}

/** Where our account goes. */
export interface AccountPlan {
  /** User ID, 2 to 63. */
  readonly slot: number;
  /** The name of our own account that sits there and is replaced; undefined if the slot is empty. */
  readonly replaces?: string;
  /** Further accounts of ours, which nobody needs once the new one works. */
  readonly former: readonly FormerAccount[];
  /** What an operator should know, one sentence each. */
  readonly findings: readonly string[];
}

/** One user ID that an account cannot have. */
export interface Occupant {
  readonly slot: number;
  /** The name in quotation marks, or why it is not free. */
  readonly holder: string;
}

/** Every user ID, or the one that was asked for, is taken by somebody else, fixed or unreadable. */
export class NoFreeSlotError extends Error {
  override readonly name = "NoFreeSlotError";
  readonly code = "no-free-slot";
  /** Who sits where. */
  readonly occupants: readonly Occupant[];

  /** @param userSlot the ID that was asked for; undefined if any would do */
  constructor(scan: AccountScan, userSlot?: number) {
    const occupants = scan.slots.map((slot) => ({ slot: slot.id, holder: holder(slot, scan) }));
    const who = occupants.map((each) => `${each.slot} ${each.holder}`).join(", ");
    const seen = who === "" ? "it has none but 1" : who;
    super(
      userSlot === undefined
        ? `no free user ID on the BMC: ${seen}. Accounts of others are never touched: ` +
            "delete one that nobody needs, then run again; rivet.user_slot=N says which ID is meant."
        : `${refusedSlot(scan, userSlot)}: ${seen}. ` +
            "Accounts of others are never touched: name an empty ID or delete its account, then run again.",
    );
    this.occupants = occupants;
  }
}

function refusedSlot({ slots }: AccountScan, userSlot: number): string {
  return slots.some(({ id }) => id === userSlot)
    ? `user ID ${userSlot} (user_slot) is not free on the BMC`
    : `the BMC has no user ID ${userSlot} (user_slot)`;
}

function holder(slot: Slot, scan: AccountScan): string {
  switch (slot.state) {
    case "named":
      return `"${slot.name}"`;
    case "empty":
      return slot.id <= scan.fixedNameCount ? "fixed, without a name" : "empty";
    case "unreadable":
      return `unreadable (${slot.reason})`;
    default:
      return slot satisfies never;
  }
}

/** Nothing is free among the user IDs that can be read, but not all can, for a reason that passes. */
export class SlotsUnreadableError extends Error {
  override readonly name = "SlotsUnreadableError";
  readonly code = "slots-unreadable";

  constructor(scan: AccountScan) {
    const seen = scan.slots.map((slot) => `${slot.id} ${holder(slot, scan)}`).join(", ");
    super(
      `whether the BMC has a free user ID cannot be told: ${seen}. Nothing was changed: run again; if that does not help, ` +
        "reset the BMC.",
    );
  }
}

/**
 * Chooses the slot: that of our account in use, or else of another account of ours, if there is one; else the one that was
 * asked for; else a free one. Every other account of ours is former then.
 * @throws NoFreeSlotError naming who sits where; SlotsUnreadableError
 */
export function planAccount(scan: AccountScan, { ourNames, ourSlot, namePrefix, userSlot }: PlaceOptions): AccountPlan {
  const unread = scan.slots.flatMap((slot) =>
    slot.state === "unreadable" ? [`The name in slot ${slot.id} could not be read: ${slot.reason}`] : [],
  );
  const named = scan.slots.flatMap((slot) => (slot.state === "named" ? [slot] : []));
  const known = named.filter(({ name }) => ourNames.includes(name));
  const orphans = named.filter(
    ({ id, name }) =>
      namePrefix !== undefined && id > scan.fixedNameCount && !ourNames.includes(name) && hasOurShape(namePrefix, name),
  );
  const former = (own: number) =>
    [...known, ...orphans].filter(({ id }) => id !== own).map(({ id, name }) => ({ slot: id, userName: name }));
  const at = (slots: typeof named, wanted: unknown) => slots.find(({ id }) => id === wanted);
  // Of several the one in use: beside a new one it would stay open. Else the one that was asked for; else the first.
  const inUse = at(known, ourSlot) ?? at(known, userSlot) ?? known[0];
  const own = inUse ?? (userSlot === undefined ? orphans[0] : at(orphans, userSlot));
  if (own !== undefined) {
    // Two accounts of ours would be open at the same time, and the new one is not proved yet.
    const elsewhere =
      userSlot === undefined || userSlot === own.id
        ? []
        : [
            `Our account is in slot ${own.id} and stays there; user_slot=${userSlot} is for a BMC that has none of ours.`,
          ];
    return { slot: own.id, replaces: own.name, former: former(own.id), findings: [...unread, ...elsewhere] };
  }
  const chosen = userSlot === undefined ? freeSlot(scan) : askedFor(scan, userSlot);
  if (chosen !== undefined) return { slot: chosen.id, former: former(chosen.id), findings: unread };
  const doubtful = userSlot === undefined ? scan.slots : scan.slots.filter(({ id }) => id === userSlot);
  const mayPass = doubtful.some((slot) => slot.state === "unreadable" && slot.mayPass === true);
  throw mayPass ? new SlotsUnreadableError(scan) : new NoFreeSlotError(scan, userSlot);
}

function askedFor({ slots, fixedNameCount }: AccountScan, userSlot: number): Slot | undefined {
  return slots.find(({ id, state }) => id === userSlot && state === "empty" && id > fixedNameCount);
}
