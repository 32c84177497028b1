import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { Database } from "./database.ts";
import { bmcRow } from "./rows.ts";
import type { Tables } from "./tables.ts";

/** What is older, and nothing has been heard of since, is forgotten. */
export interface ForgetBefore {
  /** Rows that no remote login has ever proved and that have no account left to try, with their accounts and history. */
  readonly unproved: Date;
  /** Machines that have begun an enrolment and told nothing more. */
  readonly begun: Date;
  /** Conflicts: made for the last time before, or decided. */
  readonly conflicts: Date;
}

/** How many of each were forgotten. */
export interface Forgotten {
  readonly sessions: number;
  readonly rows: number;
  readonly machines: number;
  readonly conflicts: number;
}

/** Of each kind at once: others write, too. */
const most = 50;

/**
 * Forgets what strangers can make, and what nobody needs any more. What was ever proved stays, and so does what an operator has to
 * see or has given: machines without BMC, and those that are closed in-band. A password that no login has tried may be the only one of its
 * BMC: its row stays, however old it is.
 */
export function forget(tables: Tables, before: ForgetBefore, now: Date): Forgotten {
  const { database } = tables;
  const sessions = database.run(
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= ? LIMIT ?)",
    now.getTime(),
    most,
  );
  const rows = forgetRows(tables, before.unproved);
  const machines = forgetMachines(database, before.begun);
  const conflicts = forgetConflicts(tables, before.conflicts);
  return { sessions, rows, machines, conflicts };
}

function forgetRows(tables: Tables, before: Date): number {
  const { database } = tables;
  const found = database.all(
    `SELECT bmcs.* FROM bmcs LEFT JOIN machines ON machines.key = machine_key
     WHERE bmcs.verified_at IS NULL AND bmcs.state NOT IN (?, ?, ?) AND given_address = ''
       AND bmcs.changed_at < ? AND coalesce(machines.changed_at, 0) < ?
       AND NOT EXISTS (SELECT 1 FROM sessions WHERE sessions.machine_key = bmcs.machine_key)
       AND NOT EXISTS (SELECT 1 FROM accounts WHERE bmc_key = bmcs.key AND (given_by <> '' OR accounts.state IN (?, ?, ?)))
     LIMIT ?`,
    State.STATE_UNMANAGED,
    State.STATE_LOCKED,
    State.STATE_LINKED,
    before.getTime(),
    before.getTime(),
    AccountState.ACCOUNT_STATE_ESCROWED,
    AccountState.ACCOUNT_STATE_CONFIRMED,
    AccountState.ACCOUNT_STATE_VERIFIED,
    most,
  );
  for (const row of found.map(bmcRow)) {
    tables.deleteBmc(row);
    if (row.mac !== "") database.run("DELETE FROM history WHERE mac = ?", row.mac);
  }
  return found.length;
}

/** Those that have no row. */
function forgetMachines(database: Database, before: Date): number {
  const found = database.all(
    `SELECT key, uuid FROM machines WHERE changed_at < ?
       AND NOT EXISTS (SELECT 1 FROM bmcs WHERE machine_key = machines.key)
       AND NOT EXISTS (SELECT 1 FROM sessions WHERE machine_key = machines.key)
     LIMIT ?`,
    before.getTime(),
    most,
  );
  for (const { key = "", uuid = "" } of found) {
    database.run("DELETE FROM machines WHERE key = ?", key);
    database.run(
      `DELETE FROM history WHERE machine_uuid = ? AND +mac = ''
         AND NOT EXISTS (SELECT 1 FROM machines WHERE machines.uuid = history.machine_uuid)`,
      uuid,
    );
  }
  return found.length;
}

function forgetConflicts(tables: Tables, before: Date): number {
  const { database } = tables;
  const sql = "SELECT id, bmc_key FROM conflicts WHERE last_at < ? AND coalesce(decided_at, 0) < ? LIMIT ?";
  const found = database.all(sql, before.getTime(), before.getTime(), most);
  for (const { id = 0, bmc_key: key } of found) {
    database.run("DELETE FROM conflicts WHERE id = ?", id);
    if (tables.bmc(String(key)) !== undefined) tables.changed(String(key));
  }
  return found.length;
}
