import type { Database } from "./database.ts";
import type { Session } from "./store.ts";

/*
 * An operator vouches for an enrolment that began with a token which is good for its machine only: such a token is used for minutes,
 * and opens nothing later. A certificate does not vouch, not even one in the machine's name: whoever had the machine before may have
 * kept it, and the service issues one for any token.
 */
const vouched = `SELECT sessions.id FROM sessions JOIN tokens ON tokens.id = sessions.token_id
  WHERE tokens.machine_uuid = sessions.machine_uuid AND tokens.revoked_at IS NULL`;

/** Whether an operator has vouched for the session. */
export function isVouched(database: Database, { id }: Pick<Session, "id">): boolean {
  return database.get(`${vouched} AND sessions.id = ?`, id) !== undefined;
}

/** See Store.vouchedAccounts. */
export function vouchedAccounts(database: Database, key: string): ReadonlySet<string> {
  const sql = `SELECT accounts.id FROM accounts JOIN bmcs ON bmcs.key = accounts.bmc_key
    WHERE accounts.bmc_key = ? AND accounts.session_id IN (${vouched} AND sessions.machine_uuid = bmcs.machine_uuid)`;
  return new Set(database.all(sql, key).map(({ id }) => String(id)));
}
