import { AccountState } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { Database } from "./database.ts";
import { accountRow, bmcRow, machineRow } from "./rows.ts";
import type { SecretBox } from "./secret-box.ts";
import type { AccountRow, BmcRow, Change, HistoryRow, MachineRow } from "./store.ts";

/** Entries of history for what no remote login has ever proved: anybody can make that. */
const unprovedHistoryKept = 50;

/** The tables of one database, as the operations of the SQLite store use them inside a transaction. */
export class Tables {
  readonly database: Database;
  readonly box: SecretBox;
  /** Entries of history for each BMC. */
  readonly historyKept: number;
  /** What the running transaction has changed so far. */
  readonly changes: Change[] = [];

  constructor(database: Database, box: SecretBox, historyKept: number) {
    this.database = database;
    this.box = box;
    this.historyKept = historyKept;
  }

  bmc(key: string): BmcRow | undefined {
    const found = this.database.get("SELECT * FROM bmcs WHERE key = ?", key);
    return found && bmcRow(found);
  }

  bmcOfMachine(machineKey: string): BmcRow | undefined {
    const found = this.database.get("SELECT * FROM bmcs WHERE machine_key = ?", machineKey);
    return found && bmcRow(found);
  }

  /** All rows whose machine reports that UUID, ordered as in lists. */
  bmcsOfUuid(uuid: string): BmcRow[] {
    return this.database.all(`SELECT * FROM bmcs WHERE machine_uuid = ? ORDER BY ${listOrder}`, uuid).map(bmcRow);
  }

  machine(key: string): MachineRow | undefined {
    const found = this.database.get("SELECT * FROM machines WHERE key = ?", key);
    return found && machineRow(found);
  }

  /** Newest first. */
  accounts(key: string): AccountRow[] {
    return this.database
      .all("SELECT * FROM accounts WHERE bmc_key = ? ORDER BY sequence DESC", key)
      .map((row) => accountRow(row, this.box));
  }

  setAccountState(id: string, state: AccountState, reason: string): void {
    this.database.run("UPDATE accounts SET state = ?, state_reason = ? WHERE id = ?", state, reason, id);
  }

  /** Changes a row and says so; the other columns of it stay. */
  setState(key: string, state: number, reason: string, now: Date): void {
    this.database.run(
      "UPDATE bmcs SET state = ?, state_reason = ?, changed_at = ? WHERE key = ?",
      state,
      reason,
      now.getTime(),
      key,
    );
    this.changed(key);
  }

  setRemark(row: BmcRow, reason: string, now: Date): void {
    this.setState(row.key, row.state, reason, now);
  }

  changed(key: string): void {
    this.changes.push({ key, deleted: false });
  }

  /** The rows with that UUID show the change of one of them in their warnings. */
  changedTwins({ key, machineUuid }: BmcRow): void {
    if (machineUuid === undefined) return;
    for (const twin of this.bmcsOfUuid(machineUuid)) if (twin.key !== key) this.changed(twin.key);
  }

  /** The row goes by another MAC address from now on, and keeps its accounts. No row may have it yet. */
  renameBmc(row: BmcRow, mac: string): void {
    this.database.execute("PRAGMA defer_foreign_keys = ON");
    this.database.run("UPDATE bmcs SET key = ?, mac = ? WHERE key = ?", mac, mac, row.key);
    this.database.run("UPDATE accounts SET bmc_key = ? WHERE bmc_key = ?", mac, row.key);
    this.database.run("UPDATE sessions SET bmc_key = ? WHERE bmc_key = ?", mac, row.key);
    this.database.run("UPDATE conflicts SET bmc_key = ? WHERE bmc_key = ? AND decision = 0", mac, row.key);
    this.changes.push({ key: row.key, deleted: true });
    this.changed(mac);
    this.changedTwins({ ...row, key: mac });
  }

  /** The machine of `row`, which stands for the machine alone, gets another row that has none. */
  replaceBmc(row: BmcRow, by: BmcRow): void {
    this.database.run("UPDATE sessions SET bmc_key = ? WHERE bmc_key = ?", by.key, row.key);
    this.deleteBmc(row);
    this.database.run("UPDATE bmcs SET machine_key = ? WHERE key = ?", row.machineKey ?? null, by.key);
    this.changed(by.key);
  }

  /** With its accounts. */
  deleteBmc(row: BmcRow): void {
    this.database.run("DELETE FROM bmcs WHERE key = ?", row.key);
    this.changes.push({ key: row.key, deleted: true });
    this.changedTwins(row);
  }

  addHistory({ at, mac, machineUuid, actor, action, detail }: HistoryRow): void {
    this.database.run(
      "INSERT INTO history (at, mac, machine_uuid, actor, action, detail) VALUES (?, ?, ?, ?, ?, ?)",
      at.getTime(),
      mac,
      machineUuid,
      actor,
      action,
      detail,
    );
    // "+": by the index of the machine, which has few entries.
    const [which, key] = mac === "" ? ["machine_uuid = ? AND +mac = ''", machineUuid] : ["mac = ?", mac];
    this.database.run(
      `DELETE FROM history WHERE ${which} AND id <= (
         SELECT id FROM history WHERE ${which} ORDER BY id DESC LIMIT 1 OFFSET ?)`,
      key,
      key,
      this.#wasProved(mac) ? this.historyKept : Math.min(this.historyKept, unprovedHistoryKept),
    );
  }

  #wasProved(mac: string): boolean {
    return this.database.get("SELECT 1 FROM bmcs WHERE key = ? AND verified_at IS NOT NULL", mac) !== undefined;
  }
}

/** The order of rows in lists: by MAC, those without one last. */
export const listOrder = "mac = '', mac, key";

/** The verified account, else the newest confirmed one, else the newest that is not retired. `accounts` are newest first. */
export function accountInUse(accounts: readonly AccountRow[]): AccountRow | undefined {
  return (
    accounts.find(({ state }) => state === AccountState.ACCOUNT_STATE_VERIFIED) ??
    accounts.find(({ state }) => state === AccountState.ACCOUNT_STATE_CONFIRMED) ??
    accounts.find(({ state }) => state !== AccountState.ACCOUNT_STATE_RETIRED)
  );
}
