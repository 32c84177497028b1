import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { AccountRow, BmcRow } from "./store.ts";

/**
 * Whether the relation of a BMC to its machine was proved by a remote login. While a new account is on its way to
 * a linked BMC (escrowed, confirmed) the proof of the old one still holds.
 */
export function isProved(row: BmcRow, accounts: readonly AccountRow[]): boolean {
  if (row.machineUuid === undefined) return false;
  switch (row.state) {
    case State.STATE_LINKED:
      return true;
    case State.STATE_ESCROWED:
    case State.STATE_CONFIRMED:
      return accounts.some(({ state }) => state === AccountState.ACCOUNT_STATE_VERIFIED);
    default:
      return false;
  }
}

const remedy = (row: BmcRow) =>
  `If that is meant (a part was moved or replaced), an operator deletes the row (bmcctl delete ${row.key}) and the machine boots again`;

/** Another machine claims a BMC that was proved to belong to `row.machineUuid`. */
export function claimedByOther(row: BmcRow, machineUuid: string): string {
  return `BMC ${row.mac} is linked to machine ${row.machineUuid}, but machine ${machineUuid} reports it as its own. ${remedy(row)}`;
}

/** A machine that was proved to have the BMC of `row` reports another one, or none. */
export function otherFound(row: BmcRow, found: string): string {
  return `machine ${row.machineUuid} is linked to BMC ${row.mac}, but reports ${found} now. ${remedy(row)}`;
}
