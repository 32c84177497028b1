import { closeSync, existsSync, openSync } from "node:fs";
import { Secret } from "../../ipmi/secret.ts";
import { AccountState, type BmcFacts, ChassisState, type State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { NoBmc } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { Inventory, Machine } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import { systemReason } from "../config-error.ts";
import { confirmAccount, escrowAccount, settleHandOff } from "./account-life.ts";
import { Database, type SqlRow } from "./database.ts";
import { migrate, requireKnownSchema } from "./migrate.ts";
import { migrations } from "./migrations/index.ts";
import { abort, type Reported, reportBmc, reportNoBmc } from "./reports.ts";
import { accountRow, bmcRow, historyRow, machineRow, sessionRow } from "./rows.ts";
import { SealBrokenError, SecretBox } from "./secret-box.ts";
import {
  type Abort,
  type AccountRow,
  type BmcRecord,
  type BmcRow,
  type Change,
  ClaimConflictError,
  type Confirmation,
  type HandOffOutcome,
  type HistoryRow,
  type NewAccount,
  type NewSession,
  NoSuchRowError,
  type Session,
  type Store,
} from "./store.ts";
import { StoreError } from "./store-error.ts";
import { accountInUse, Tables } from "./tables.ts";

/** Entries of history kept for each BMC: a machine that boots in a loop must not fill the disk. */
const defaultHistoryKept = 1_000;

const keyCheckPlace = "setting:key check";

/** The store in one SQLite file. */
export class SqliteStore implements Store {
  readonly #database: Database;
  readonly #box: SecretBox;
  readonly #historyKept: number;
  readonly #listeners = new Set<(change: Change) => void>();

  /**
   * Opens the file, or makes it with mode 0600.
   * @param key what the secrets in it are sealed with, 32 bytes
   * @throws StoreError if it is locked, damaged, cannot be written, has a newer schema, or another key belongs to it
   */
  constructor(path: string, key: Uint8Array, historyKept = defaultHistoryKept) {
    this.#historyKept = historyKept;
    if (!existsSync(path)) makeForOwner(path);
    this.#database = new Database(path);
    try {
      // First of all: a file of a newer release stays as it is, to the byte.
      requireKnownSchema(this.#database, migrations);
      this.#database.useWriteAheadLog();
      migrate(this.#database, migrations);
      this.#box = new SecretBox(key);
      this.#checkKey();
    } catch (error) {
      this.#database[Symbol.dispose]();
      throw error;
    }
  }

  #checkKey(): void {
    this.#database.transaction(() => {
      const stored = this.#database.get("SELECT value FROM settings WHERE name = 'key check'")?.value;
      if (stored === undefined) {
        const sealed = this.#box.seal(Secret.fromBytes(Buffer.from("key check")), keyCheckPlace);
        this.#database.run("INSERT INTO settings (name, value) VALUES ('key check', ?)", sealed);
        return;
      }
      try {
        this.#box.open(stored instanceof Uint8Array ? stored : new Uint8Array(), keyCheckPlace);
      } catch (error) {
        if (!(error instanceof SealBrokenError)) throw error;
        throw new StoreError(
          "wrong key",
          `database ${this.#database.path}: its secrets are sealed with another key than the one given. ` +
            "Nothing was changed. Give the key that belongs to this database (--key)",
          { cause: error },
        );
      }
    });
  }

  async probe(): Promise<void> {
    this.#database.get("SELECT count(*) FROM settings");
  }

  subscribe(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async beginSession(session: NewSession): Promise<void> {
    const { machine, now } = session;
    this.#write((tables) => {
      const { database } = tables;
      database.run("DELETE FROM sessions WHERE expires_at <= ?", now.getTime());
      database.run(
        `INSERT INTO machines (uuid, machine, agent_version, boot_id, created_at, changed_at) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (uuid) DO UPDATE SET machine = excluded.machine, agent_version = excluded.agent_version,
           boot_id = excluded.boot_id, changed_at = excluded.changed_at`,
        machine.uuid,
        Machine.encode(machine).finish(),
        session.agentVersion,
        session.bootId,
        now.getTime(),
        now.getTime(),
      );
      database.run(
        `INSERT INTO sessions (id, token_hash, machine_uuid, boot_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)`,
        session.id,
        session.tokenHash,
        machine.uuid,
        session.bootId,
        now.getTime(),
        session.expiresAt.getTime(),
      );
      const row = tables.bmcOfMachine(machine.uuid);
      if (row !== undefined) tables.changed(row.key);
    });
  }

  async session(tokenHash: Uint8Array, now: Date): Promise<Session | undefined> {
    const sql = "SELECT * FROM sessions WHERE token_hash = ? AND expires_at > ?";
    const found = this.#database.get(sql, tokenHash, now.getTime());
    return found && sessionRow(found);
  }

  async countSessions(now: Date): Promise<number> {
    const sql = "SELECT count(*) AS number FROM sessions WHERE expires_at > ?";
    return Number(this.#database.get(sql, now.getTime())?.number);
  }

  async reportBmc(session: Session, facts: BmcFacts, now: Date): Promise<BmcRow> {
    return rowOf(this.#write((tables) => reportBmc(tables, session, facts, now)));
  }

  async reportNoBmc(session: Session, noBmc: NoBmc, now: Date): Promise<BmcRow> {
    return rowOf(this.#write((tables) => reportNoBmc(tables, session, noBmc, now)));
  }

  async reportInventory(session: Session, inventory: Inventory, now: Date): Promise<void> {
    this.#write((tables) => {
      tables.database.run(
        "UPDATE machines SET inventory = ?, changed_at = ? WHERE uuid = ?",
        Inventory.encode(inventory).finish(),
        now.getTime(),
        session.machineUuid,
      );
      const row = tables.bmcOfMachine(session.machineUuid);
      if (row !== undefined) tables.changed(row.key);
    });
  }

  async escrowAccount(session: Session, account: NewAccount, now: Date): Promise<string> {
    return this.#write((tables) => escrowAccount(tables, session, account, now));
  }

  async confirmAccount(session: Session, accountId: string, confirmation: Confirmation, now: Date): Promise<void> {
    this.#write((tables) => confirmAccount(tables, session, accountId, confirmation, now));
  }

  async abort(session: Session, how: Abort, now: Date): Promise<void> {
    this.#write((tables) => abort(tables, session, how, now));
  }

  async settleHandOff(key: string, outcome: HandOffOutcome, now: Date): Promise<void> {
    this.#write((tables) => settleHandOff(tables, key, outcome, now));
  }

  async recordChassis(key: string, chassis: ChassisState): Promise<void> {
    this.#write((tables) => {
      const encoded = ChassisState.encode(chassis).finish();
      if (tables.database.run("UPDATE bmcs SET chassis = ? WHERE key = ?", encoded, key) > 0) tables.changed(key);
    });
  }

  async bmc(key: string): Promise<BmcRecord | undefined> {
    return this.#record(this.#database.get("SELECT * FROM bmcs WHERE key = ?", key));
  }

  async bmcOfMachine(uuid: string): Promise<BmcRecord | undefined> {
    return this.#record(this.#database.get("SELECT * FROM bmcs WHERE machine_uuid = ?", uuid));
  }

  async bmcs(): Promise<BmcRecord[]> {
    const machines = new Map(
      this.#database
        .all("SELECT * FROM machines WHERE uuid IN (SELECT machine_uuid FROM bmcs)")
        .map(machineRow)
        .map((machine) => [machine.uuid, machine]),
    );
    const accounts = Map.groupBy(
      this.#database
        .all("SELECT * FROM accounts WHERE state <> ? ORDER BY sequence DESC", AccountState.ACCOUNT_STATE_RETIRED)
        .map((row) => accountRow(row, this.#box)),
      ({ bmcKey }) => bmcKey,
    );
    return this.#database
      .all("SELECT * FROM bmcs ORDER BY mac = '', mac, key")
      .map(bmcRow)
      .map((row) => ({
        row,
        machine: row.machineUuid === undefined ? undefined : machines.get(row.machineUuid),
        account: accountInUse(accounts.get(row.key) ?? []),
      }));
  }

  async countByState(): Promise<ReadonlyMap<State, number>> {
    const rows = this.#database.all("SELECT state, count(*) AS number FROM bmcs GROUP BY state");
    return new Map(rows.map(({ state, number }) => [Number(state) as State, Number(number)]));
  }

  async accounts(key: string): Promise<AccountRow[]> {
    return new Tables(this.#database, this.#box, this.#historyKept).accounts(key);
  }

  async updateDrivers(key: string, drivers: readonly string[], actor: string, now: Date): Promise<void> {
    this.#write((tables) => {
      const row = existing(tables, key);
      if (JSON.stringify(row.drivers) === JSON.stringify(drivers)) return;
      const sql = "UPDATE bmcs SET drivers = ?, changed_at = ? WHERE key = ?";
      tables.database.run(sql, JSON.stringify(drivers), now.getTime(), key);
      tables.changed(key);
      tables.addHistory(entryOf(row, now, actor, "drivers changed", drivers.join(", ")));
    });
  }

  async deleteBmc(key: string, actor: string, now: Date): Promise<void> {
    this.#write((tables) => {
      const row = existing(tables, key);
      tables.deleteBmc(key);
      tables.addHistory(entryOf(row, now, actor, "deleted", "the row and its accounts; the BMC was not touched"));
    });
  }

  async addHistory(entry: HistoryRow): Promise<void> {
    this.#write((tables) => tables.addHistory(entry));
  }

  async history(key: string, limit: number): Promise<HistoryRow[]> {
    const sql = "SELECT * FROM history WHERE mac = ? OR machine_uuid = ? ORDER BY id DESC LIMIT ?";
    return this.#database.all(sql, key, key, limit).map(historyRow);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.clear();
    this.#database[Symbol.dispose]();
  }

  /** One transaction; who listens hears of it when it is on the disk. */
  #write<T>(work: (tables: Tables) => T): T {
    const tables = new Tables(this.#database, this.#box, this.#historyKept);
    const result = this.#database.transaction(() => work(tables));
    for (const change of tables.changes) for (const listener of this.#listeners) listener(change);
    return result;
  }

  #record(found: SqlRow | undefined): BmcRecord | undefined {
    if (found === undefined) return undefined;
    const row = bmcRow(found);
    const machine =
      row.machineUuid === undefined
        ? undefined
        : this.#database.get("SELECT * FROM machines WHERE uuid = ?", row.machineUuid);
    const accounts = new Tables(this.#database, this.#box, this.#historyKept).accounts(row.key);
    return { row, machine: machine && machineRow(machine), account: accountInUse(accounts) };
  }
}

/** SQLite would make the file with whatever the umask leaves, and gives its own files beside it the same mode. */
function makeForOwner(path: string): void {
  try {
    closeSync(openSync(path, "ax", 0o600));
  } catch (error) {
    throw new StoreError("unwritable", `database ${path} cannot be made: ${systemReason(error)}`, { cause: error });
  }
}

function existing(tables: Tables, key: string): BmcRow {
  const row = tables.bmc(key);
  if (row === undefined) throw new NoSuchRowError(`there is no row ${key}`);
  return row;
}

function entryOf(row: BmcRow, at: Date, actor: string, action: string, detail: string): HistoryRow {
  return { at, mac: row.mac, machineUuid: row.machineUuid ?? "", actor, action, detail };
}

/** The conflict is thrown here, after its remark was stored: inside the transaction it would take the remark with it. */
function rowOf(reported: Reported): BmcRow {
  if ("conflict" in reported) throw new ClaimConflictError(reported.conflict);
  return reported.row;
}
