import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { AccountRow, BmcRow } from "./store.ts";

/**
 * Whether the relation of a BMC to its machine was proved by a remote login. The proof holds on while a new account is on its way
 * (escrowed, confirmed), and also when a later login fails: a BMC that does not answer for a while is no free prey.
 */
export function isProved(row: BmcRow, accounts: readonly AccountRow[]): boolean {
  if (row.machineUuid === undefined) return false;
  switch (row.state) {
    case State.STATE_LINKED:
      return true;
    case State.STATE_ESCROWED:
    case State.STATE_CONFIRMED:
    case State.STATE_FAILED:
    case State.STATE_LOCKED:
      return accounts.some(({ state }) => state === AccountState.ACCOUNT_STATE_VERIFIED);
    default:
      return false;
  }
}

/** Whether the account that was proved is not known to have ceased to work. */
export function isWorking(row: BmcRow, accounts: readonly AccountRow[]): boolean {
  return isProved(row, accounts) && row.state !== State.STATE_FAILED && row.state !== State.STATE_LOCKED;
}

const remedy =
  "If that is meant (a part was moved or replaced), an admin accepts the claim (bmcctl conflicts) and the machine boots again";

/** Another machine claims a BMC that was proved to belong to `row.machineUuid`. */
export function claimedByOther(row: BmcRow, machineUuid: string): string {
  return `BMC ${row.mac} is linked to machine ${row.machineUuid}, but machine ${machineUuid} reports it as its own. ${remedy}`;
}

/** A machine that was proved to have the BMC of `row` reports another one, or none. */
export function otherFound(row: BmcRow, found: string): string {
  return `machine ${row.machineUuid} is linked to BMC ${row.mac}, but reports ${found} now. ${remedy}`;
}
