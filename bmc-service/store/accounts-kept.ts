import { AccountState } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type AccountRow, type BmcRow, type Session, TooManyAccountsError } from "./store.ts";
import type { Tables } from "./tables.ts";
import { isVouched } from "./vouched.ts";

/*
 * A machine that boots in a loop, or somebody who floods, must not fill the disk, and must not push out what may be live. What a
 * hand-off has not tried stays, whether the BMC was proved or not; when there is too much of that no more is taken until a login has
 * settled it.
 */

/** Accounts kept for each BMC that a hand-off has settled. Far more than one ever tries. */
const kept = 100;
/** Accounts kept for each BMC that no hand-off has tried. */
const untriedKept = 500;
/** From so many on each enrolment gets few, so that one leaves room for others. */
const untriedCrowded = untriedKept / 2;
/** Accounts of one enrolment: a run escrows one for each form of password that the BMC refuses. */
const mostOfSession = 32;
const mostOfSessionCrowded = 8;

/**
 * @param accounts of the BMC
 * @throws TooManyAccountsError
 */
export function requireRoom(tables: Tables, row: BmcRow, session: Session, accounts: readonly AccountRow[]): void {
  const untried = accounts.filter(isUntried).length;
  const most = untried < untriedCrowded ? mostOfSession : mostOfSessionCrowded;
  const own = accounts.filter(({ sessionId }) => sessionId === session.id).length;
  if (own >= most) {
    throw new TooManyAccountsError(
      `this enrolment has ${own} accounts of BMC ${row.mac} in escrow, and gets no more: begin again`,
    );
  }
  if (untried < untriedKept || isVouched(tables.database, session)) return;
  throw new TooManyAccountsError(
    `BMC ${row.mac} has ${untried} accounts in escrow that no login has tried, and gets no more until one has: try again in a minute`,
  );
}

function isUntried({ state }: AccountRow): boolean {
  return state === AccountState.ACCOUNT_STATE_ESCROWED || state === AccountState.ACCOUNT_STATE_CONFIRMED;
}

/** Forgets what is too much of what was settled, after another account was stored. */
export function forgetAccounts({ database }: Tables, bmcKey: string): void {
  const settled = [AccountState.ACCOUNT_STATE_RETIRED, AccountState.ACCOUNT_STATE_REFUSED];
  database.run(
    `DELETE FROM accounts WHERE bmc_key = ? AND state IN (?, ?) AND sequence <= (
       SELECT sequence FROM accounts WHERE bmc_key = ? AND state IN (?, ?) ORDER BY sequence DESC LIMIT 1 OFFSET ?)`,
    bmcKey,
    ...settled,
    bmcKey,
    ...settled,
    kept,
  );
}
