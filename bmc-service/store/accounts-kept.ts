import { AccountState } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { isPlaceProved } from "./claim.ts";
import { type AccountRow, type BmcRow, type Session, TooManyAccountsError } from "./store.ts";
import type { Tables } from "./tables.ts";
import { isVouched } from "./vouched.ts";

/*
 * A machine that boots in a loop, or somebody who floods, must not fill the disk. Of a BMC that was proved no account goes that may be
 * live: what a hand-off has not tried stays, and when there are too many of those no more are taken until one has settled them. Of a
 * BMC that never was, the oldest go: nothing is lost that was proved.
 */

/** Accounts kept for each BMC that a hand-off has settled; those of an unproved one altogether. Far more than one ever tries. */
const kept = 100;
/** Accounts kept for each proved BMC that no hand-off has tried. */
const untriedKept = 500;
/** Accounts of one enrolment: a run escrows one for each form of password that the BMC refuses. */
const mostOfSession = 32;

/**
 * @param accounts of the BMC
 * @throws TooManyAccountsError
 */
export function requireRoom(tables: Tables, row: BmcRow, session: Session, accounts: readonly AccountRow[]): void {
  const own = accounts.filter(({ sessionId }) => sessionId === session.id).length;
  if (own >= mostOfSession) {
    throw new TooManyAccountsError(
      `this enrolment has ${own} accounts of BMC ${row.mac} in escrow, and gets no more: begin again`,
    );
  }
  const untried = accounts.filter(isUntried).length;
  if (untried < untriedKept || !isPlaceProved(row, accounts) || isVouched(tables.database, session)) return;
  throw new TooManyAccountsError(
    `BMC ${row.mac} has ${untried} accounts in escrow that no login has tried, and gets no more until one has: try again in a minute`,
  );
}

function isUntried({ state }: AccountRow): boolean {
  return state === AccountState.ACCOUNT_STATE_ESCROWED || state === AccountState.ACCOUNT_STATE_CONFIRMED;
}

/** Forgets what is too much after another account was stored. */
export function forgetAccounts(tables: Tables, bmcKey: string): void {
  const row = tables.bmc(bmcKey);
  if (row === undefined) return;
  if (isPlaceProved(row, tables.accounts(bmcKey))) forgetSettled(tables, bmcKey);
  else forgetOldest(tables, bmcKey);
}

function forgetSettled({ database }: Tables, bmcKey: string): void {
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

/** The newest confirmed one stays: the BMC has it most likely. */
function forgetOldest({ database }: Tables, bmcKey: string): void {
  database.run(
    `DELETE FROM accounts WHERE bmc_key = ? AND sequence <= (
       SELECT sequence FROM accounts WHERE bmc_key = ? ORDER BY sequence DESC LIMIT 1 OFFSET ?)
     AND id NOT IN (SELECT id FROM accounts WHERE bmc_key = ? AND state = ? ORDER BY sequence DESC LIMIT 1)`,
    bmcKey,
    bmcKey,
    kept,
    bmcKey,
    AccountState.ACCOUNT_STATE_CONFIRMED,
  );
}
