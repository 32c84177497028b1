import { type AccountScan, freeSlot, type Slot } from "./scan-accounts.ts";

/** Where our account goes. */
export interface AccountPlan {
  /** User ID, 2 to 63. */
  readonly slot: number;
  /** The name of our own account that sits there and is replaced; undefined if the slot is empty. */
  readonly replaces?: string;
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
    super(
      userSlot === undefined
        ? `no free user ID on the BMC: ${who === "" ? "it has none but 1" : who}. Accounts of others are never touched: ` +
            "delete one that nobody needs, then run again; rivet.user_slot=N says which ID is meant."
        : `user ID ${userSlot} (user_slot) is not free on the BMC: ${who === "" ? "it has none but 1" : who}. ` +
            "Accounts of others are never touched: name an empty ID or delete its account, then run again.",
    );
    this.occupants = occupants;
  }
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

/**
 * Chooses the slot: that of our account in use, or else of another account of ours, if there is one; else the one that was
 * asked for; else a free one.
 * @param ourNames the user names that were ever put into escrow for this BMC; no other account is ours, whatever its name
 * @param userSlot the user ID that an operator asks for
 * @param ourSlot the slot of our account in use
 * @throws NoFreeSlotError naming who sits where
 */
export function planAccount(
  scan: AccountScan,
  ourNames: readonly string[],
  userSlot?: number,
  ourSlot?: number,
): AccountPlan {
  const known = new Set(ourNames);
  const unread = scan.slots.flatMap((slot) =>
    slot.state === "unreadable" ? [`The name in slot ${slot.id} could not be read: ${slot.reason}`] : [],
  );
  const ours = scan.slots.flatMap((slot) => (slot.state === "named" && known.has(slot.name) ? [slot] : []));
  // Of several the one in use: beside a new one it would stay open. Else the one that was asked for; else the first.
  const own = ours.find(({ id }) => id === ourSlot) ?? ours.find(({ id }) => id === userSlot) ?? ours[0];
  if (own !== undefined) {
    const findings = ours
      .filter((other) => other !== own)
      .map(({ id, name }) => `Slot ${id} holds "${name}", an older account of ours; it was left alone.`);
    // Two accounts of ours would be open at the same time, and the new one is not proved yet.
    const elsewhere =
      userSlot === undefined || userSlot === own.id
        ? []
        : [
            `Our account is in slot ${own.id} and stays there; user_slot=${userSlot} is for a BMC that has none of ours.`,
          ];
    return { slot: own.id, replaces: own.name, findings: [...unread, ...findings, ...elsewhere] };
  }
  const chosen = userSlot === undefined ? freeSlot(scan) : askedFor(scan, userSlot);
  if (chosen === undefined) throw new NoFreeSlotError(scan, userSlot);
  return { slot: chosen.id, findings: unread };
}

function askedFor({ slots, fixedNameCount }: AccountScan, userSlot: number): Slot | undefined {
  return slots.find(({ id, state }) => id === userSlot && state === "empty" && id > fixedNameCount);
}
