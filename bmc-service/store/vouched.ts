import type { Database } from "./database.ts";
import type { Session } from "./store.ts";

/*
 * An operator vouches for an enrolment that began with a token which is good for its machine only: such a token is used for minutes,
 * and opens nothing later. A certificate does not vouch, not even one in the machine's name: whoever had the machine before may have
 * kept it, and the service issues one for any token.
 */
const vouched = `tokens.id = sessions.token_id AND tokens.machine_uuid = sessions.machine_uuid AND tokens.revoked_at IS NULL`;

/** Whether an operator has vouched for the session. */
export function isVouched(database: Database, { id }: Pick<Session, "id">): boolean {
  const sql = `SELECT 1 FROM sessions CROSS JOIN tokens WHERE sessions.id = ? AND ${vouched}`;
  return database.get(sql, id) !== undefined;
}

/** See Store.vouchedAccounts. In this order ("CROSS"): there are thousands of sessions, and few are of one BMC. */
export function vouchedAccounts(database: Database, key: string): ReadonlySet<string> {
  const sql = `SELECT accounts.id FROM bmcs CROSS JOIN accounts CROSS JOIN sessions CROSS JOIN tokens
    WHERE bmcs.key = ? AND accounts.bmc_key = bmcs.key
      AND sessions.id = accounts.session_id AND sessions.machine_uuid = bmcs.machine_uuid AND ${vouched}`;
  return new Set(database.all(sql, key).map(({ id }) => String(id)));
}
