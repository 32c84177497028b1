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

/** Every user ID is taken by somebody else, fixed or unreadable. */
export class NoFreeSlotError extends Error {
  override readonly name = "NoFreeSlotError";
  readonly code = "no-free-slot";

  constructor(scan: AccountScan) {
    const taken = scan.slots.map((slot) => `${slot.id} ${occupant(slot, scan)}`).join(", ");
    super(
      `no free user ID on the BMC: ${taken === "" ? "it has none but 1" : taken}. ` +
        "Accounts of others are never touched: delete one that nobody needs, then run again.",
    );
  }
}

function occupant(slot: Slot, scan: AccountScan): string {
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
 * Chooses the slot: that of an account of ours, if there is one; else a free one.
 * @param ourNames the user names that were ever put into escrow for this BMC; no other account is ours, whatever its name
 * @throws NoFreeSlotError naming who sits where
 */
export function planAccount(scan: AccountScan, ourNames: readonly string[]): AccountPlan {
  const known = new Set(ourNames);
  const unread = scan.slots.flatMap((slot) =>
    slot.state === "unreadable" ? [`The name in slot ${slot.id} could not be read: ${slot.reason}`] : [],
  );
  const ours = scan.slots.flatMap((slot) => (slot.state === "named" && known.has(slot.name) ? [slot] : []));
  const [own, ...others] = ours;
  if (own !== undefined) {
    const findings = others.map(
      ({ id, name }) => `Slot ${id} holds "${name}", an older account of ours; it was left alone.`,
    );
    return { slot: own.id, replaces: own.name, findings: [...unread, ...findings] };
  }
  const chosen = freeSlot(scan);
  if (chosen === undefined) throw new NoFreeSlotError(scan);
  return { slot: chosen.id, findings: unread };
}
