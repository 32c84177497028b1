import { isDeepStrictEqual } from "node:util";
import { AccountState, type BmcFacts, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { shownAddress, toldEndpoint } from "../reach/told-endpoint.ts";
import type { AccountRow, BmcRow, Claim } from "./store.ts";

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
      return hasVerified(accounts);
    default:
      return false;
  }
}

/** Whether the account that was proved is not known to have ceased to work. */
export function isWorking(row: BmcRow, accounts: readonly AccountRow[]): boolean {
  return isProved(row, accounts) && row.state !== State.STATE_FAILED && row.state !== State.STATE_LOCKED;
}

/** Whether a remote login has proved where the BMC is and which one it is, whoever it belongs to now. */
export function isPlaceProved(row: BmcRow, accounts: readonly AccountRow[]): boolean {
  return isProved(row, accounts) || hasVerified(accounts);
}

function hasVerified(accounts: readonly AccountRow[]): boolean {
  return accounts.some(({ state }) => state === AccountState.ACCOUNT_STATE_VERIFIED);
}

/** What a report says of where a BMC is and which one it is. */
export function placeOf(facts: BmcFacts): Pick<Claim, "claimedMac" | "claimedAddress" | "claimedGuid"> {
  return { claimedMac: facts.mac, claimedAddress: addressOf(facts), claimedGuid: facts.guid };
}

/** That there is no BMC. */
export const noPlace = { claimedMac: "", claimedAddress: "", claimedGuid: "" } as const;

/** "10.0.0.8", with the port unless it is that of IPMI; empty without an address. */
function addressOf(facts: BmcFacts): string {
  const endpoint = toldEndpoint(facts);
  return endpoint === undefined ? "" : shownAddress(endpoint);
}

/** Whether it is exactly what an operator has accepted: the same machine with the same board, and the same BMC at the same place. */
export function isAccepted({ acceptedClaim }: BmcRow, claim: Claim): boolean {
  if (acceptedClaim === undefined) return false;
  const { conflict: _, separate: __, ...accepted } = acceptedClaim;
  return isDeepStrictEqual(accepted, { ...claim });
}

const remedy =
  "If that is meant (a part was moved or replaced), an admin accepts the claim (bmcctl conflicts) and the machine boots again";

/** Another machine claims a BMC that was proved to belong to `row.machineUuid`, or to a machine that has left it. */
export function claimedByOther(row: BmcRow, { machineUuid, ...place }: Claim): string {
  const now =
    row.machineUuid === undefined
      ? "was linked before and has no machine now"
      : `is linked to machine ${row.machineUuid}`;
  return `BMC ${row.mac} ${now}, but machine ${machineUuid} reports it as its own${placeText(place)}. ${remedy}`;
}

/** A machine that was proved to have the BMC of `row` reports another one, or none. */
export function otherFound(row: BmcRow, found: string): string {
  return `machine ${row.machineUuid} is linked to BMC ${row.mac}, but reports ${found} now. ${remedy}`;
}

/** As otherFound, where it may be another machine as well. */
export function otherBmcFound(row: BmcRow, found: string): string {
  return `${otherFound(row, found)}. If it is another machine with the same UUID: accept --separate`;
}

/** ", at 10.0.0.8, with GUID 00..." */
export function placeText({ claimedAddress, claimedGuid }: Pick<Claim, "claimedAddress" | "claimedGuid">): string {
  const address = claimedAddress === "" ? "" : `, at ${claimedAddress}`;
  return `${address}${claimedGuid === "" ? "" : `, with GUID ${claimedGuid}`}`;
}
