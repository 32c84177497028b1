import type { Database } from "./database.ts";
import type { Session } from "./store.ts";
import type { Tables } from "./tables.ts";

/*
 * What a run has yet to close stands with the accounts that it has made, and counts once one of them is in use. So it says nothing
 * what somebody reports who has made no account that works, and what a run has left open is settled by the next full run.
 */

/** So many full runs that did not get to the end: one more would not either, and each gives the BMC a new password. */
const mostRuns = 3;

/** See Store.setFormerAccounts. */
export function setFormerAccounts({ database }: Tables, session: Session, key: string, count: number): void {
  database.run("UPDATE accounts SET former_accounts = ? WHERE bmc_key = ? AND session_id = ?", count, key, session.id);
}

/** A further password of the same run, or a new one for the same account: what is yet to be closed stays so. */
export function inheritFormerAccounts({ database }: Tables, id: string, like: string): void {
  const sql = "UPDATE accounts SET former_accounts = (SELECT former_accounts FROM accounts WHERE id = ?) WHERE id = ?";
  database.run(sql, like, id);
}

/** See Store.hasFormerAccounts. */
export function hasFormerAccounts(database: Database, key: string): boolean {
  const sql = `SELECT session_id, former_accounts FROM accounts
    WHERE bmc_key = ? AND verified_at IS NOT NULL AND given_by = '' ORDER BY sequence DESC`;
  const worked = database.all(sql, key);
  const end = worked.findIndex((each) => each.former_accounts === 0);
  const unfinished = end === -1 ? worked : worked.slice(0, end);
  const runs = new Set(unfinished.map(({ session_id }) => session_id).filter((id) => id !== ""));
  return unfinished.length > 0 && runs.size < mostRuns;
}
