import { closeSync, existsSync, openSync } from "node:fs";
import { AccountState, type BmcFacts, ChassisState, type State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { NoBmc, PasswordForm } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { Inventory, type Machine } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import {
  type AuditEntryRow,
  type AuditPage,
  type AuditQuery,
  appendAudit,
  type NewAuditEntry,
  readAudit,
} from "../audit/audit-log.ts";
import { systemReason } from "../config-error.ts";
import { adoptAccount, confirmAccount, escrowAccount, passwordForm, settleHandOff } from "./account-life.ts";
import { beginSession } from "./begin-session.ts";
import { acceptAllOf, listConflicts, openConflictsOf, resolveConflict } from "./conflicts.ts";
import { Database, type SqlRow } from "./database.ts";
import type { NewToken, TokenLook, TokenRow, TokenUse } from "./enrolment-token.ts";
import { type ForgetBefore, type Forgotten, forget } from "./forget.ts";
import { hasFormerAccounts, setFormerAccounts } from "./former-accounts.ts";
import { GroupCommit } from "./group-commit.ts";
import { requireKey } from "./key-check.ts";
import { boardSerial, mayTell, noteHandedOff } from "./machines.ts";
import { migrate, requireKnownSchema } from "./migrate.ts";
import { migrations } from "./migrations/index.ts";
import { finishPurge } from "./purge.ts";
import { abort, type Reported, reportBmc, reportNoBmc } from "./reports.ts";
import { escrowRotation, interruptedRotations } from "./rotation.ts";
import { accountRow, bmcRow, historyRow, listedRow, machineRow, sessionRow } from "./rows.ts";
import { SecretBox } from "./secret-box.ts";
import {
  type Abort,
  type AccountRow,
  type BmcKind,
  type BmcOutline,
  type BmcRecord,
  type BmcRow,
  type Change,
  ClaimConflictError,
  type Confirmation,
  type ConflictRow,
  type Decision,
  type GivenAccount,
  type HandOffOutcome,
  type HandOffSuccess,
  type HistoryRow,
  type MachineRow,
  type NewAccount,
  type NewPassword,
  type NewSession,
  NoSuchRowError,
  type Session,
  type Store,
  type Stored,
  type Twin,
} from "./store.ts";
import { StoreError } from "./store-error.ts";
import { accountInUse, listOrder, Tables } from "./tables.ts";
import { createToken, endTokenUse, keepToken, listTokens, lookAtToken, revokeToken } from "./tokens.ts";
import { vouchedAccounts } from "./vouched.ts";

/** Entries of history kept for each BMC: a machine that boots in a loop must not fill the disk. */
const defaultHistoryKept = 1_000;

/** The store in one SQLite file. */
export class SqliteStore implements Store {
  readonly #database: Database;
  /** A connection that sees only what is on the disk, while a group of writes is under way on the other. */
  readonly #reader: Database;
  readonly #group: GroupCommit;
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
      requireKey(this.#database, key);
      this.#box = new SecretBox(key);
      this.#purge();
      this.#reader = new Database(path);
      this.#reader.forbidWrites();
      this.#group = new GroupCommit(this.#database);
    } catch (error) {
      this.#database[Symbol.dispose]();
      throw error;
    }
  }

  /** What a change of key has left to do. A full disk keeps nobody from their BMCs: it is tried again at the next start. */
  #purge(): void {
    try {
      finishPurge(this.#database);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }

  async probe(): Promise<void> {
    this.#reader.get("SELECT count(*) FROM settings");
    // Nobody may write for hours: whether the disk takes something again is tried here.
    if (this.#group.problem !== undefined) await this.#group.run(() => tryRoom(this.#database));
  }

  subscribe(listener: (change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async beginSession(session: NewSession): Promise<string> {
    return this.#write((tables) => beginSession(tables, session));
  }

  async session(tokenHash: Uint8Array, now: Date): Promise<Session | undefined> {
    const sql = "SELECT * FROM sessions WHERE token_hash = ? AND expires_at > ?";
    const found = this.#reader.get(sql, tokenHash, now.getTime());
    return found && sessionRow(found);
  }

  async countSessions(now: Date): Promise<number> {
    const sql = "SELECT count(*) AS number FROM sessions WHERE expires_at > ? AND ended = ''";
    return Number(this.#reader.get(sql, now.getTime())?.number);
  }

  async countStored(now: Date): Promise<Stored> {
    const sql = `SELECT (SELECT count(*) FROM sessions WHERE expires_at > ?) AS sessions,
      (SELECT count(*) FROM machines) AS machines, (SELECT count(*) FROM bmcs) AS bmcs`;
    const { sessions, machines, bmcs } = this.#reader.get(sql, now.getTime()) ?? {};
    return { sessions: Number(sessions), machines: Number(machines), bmcs: Number(bmcs) };
  }

  async forget(before: ForgetBefore, now: Date): Promise<Forgotten> {
    return this.#write((tables) => forget(tables, before, now));
  }

  async createToken(token: NewToken): Promise<void> {
    await this.#write(({ database }) => createToken(database, token));
  }

  async keepToken(id: string, createdBy: string, now: Date): Promise<TokenRow | undefined> {
    return this.#write(({ database }) => keepToken(database, id, createdBy, now));
  }

  async lookAtToken(hash: Uint8Array, use: TokenUse, now: Date): Promise<TokenLook> {
    return lookAtToken(this.#reader, hash, use, now);
  }

  async handedOff(session: Session, now: Date): Promise<void> {
    await this.#write((tables) => {
      if (session.tokenId !== undefined) endTokenUse(tables.database, session.id);
      noteHandedOff(tables, session, now);
    });
  }

  async tokens(): Promise<TokenRow[]> {
    return listTokens(this.#reader);
  }

  async revokeToken(id: string, now: Date): Promise<TokenRow> {
    return this.#write(({ database }) => revokeToken(database, id, now));
  }

  async reportBmc(session: Session, facts: BmcFacts, now: Date): Promise<BmcRow> {
    return rowOf(await this.#write((tables) => reportBmc(tables, session, facts, now)));
  }

  async reportNoBmc(session: Session, noBmc: NoBmc, now: Date): Promise<BmcRow> {
    return rowOf(await this.#write((tables) => reportNoBmc(tables, session, noBmc, now)));
  }

  async reportInventory(session: Session, inventory: Inventory, now: Date): Promise<void> {
    await this.#write((tables) => {
      const encoded = Inventory.encode(inventory).finish();
      if (session.bmcKey === undefined || !mayTell(tables, session, session.machineKey)) {
        tables.database.run("UPDATE sessions SET inventory = ? WHERE id = ?", encoded, session.id);
        return;
      }
      const sql = "UPDATE machines SET inventory = ?, changed_at = ? WHERE key = ?";
      tables.database.run(sql, encoded, now.getTime(), session.machineKey);
      const row = tables.bmcOfMachine(session.machineKey);
      if (row !== undefined) tables.changed(row.key);
    });
  }

  async escrowAccount(session: Session, account: NewAccount, now: Date): Promise<string> {
    return this.#write((tables) => escrowAccount(tables, session, account, now));
  }

  async confirmAccount(session: Session, accountId: string, confirmation: Confirmation, now: Date): Promise<void> {
    await this.#write((tables) => confirmAccount(tables, session, accountId, confirmation, now));
  }

  async setFormerAccounts(session: Session, key: string, count: number): Promise<void> {
    await this.#write((tables) => setFormerAccounts(tables, session, key, count));
  }

  async hasFormerAccounts(key: string): Promise<boolean> {
    return hasFormerAccounts(this.#reader, key);
  }

  async escrowRotation(key: string, password: NewPassword, actor: string, now: Date): Promise<string> {
    return this.#write((tables) => escrowRotation(tables, key, password, actor, now));
  }

  async interruptedRotations(): Promise<string[]> {
    return interruptedRotations(new Tables(this.#reader, this.#box, this.#historyKept));
  }

  async abort(session: Session, how: Abort, now: Date): Promise<void> {
    await this.#write((tables) => abort(tables, session, how, now));
  }

  async settleHandOff(key: string, outcome: HandOffOutcome, now: Date): Promise<void> {
    await this.#write((tables) => settleHandOff(tables, key, outcome, now));
  }

  async passwordForm(kind: BmcKind): Promise<PasswordForm | undefined> {
    return passwordForm(this.#reader, kind);
  }

  async adoptAccount(
    key: string,
    given: GivenAccount,
    proof: HandOffSuccess,
    considered: readonly string[],
    actor: string,
    now: Date,
  ): Promise<string> {
    return this.#write((tables) => adoptAccount(tables, existing(tables, key), given, proof, considered, actor, now));
  }

  async recordChassis(key: string, chassis: ChassisState): Promise<void> {
    await this.#write((tables) => {
      const encoded = ChassisState.encode(chassis).finish();
      if (tables.database.run("UPDATE bmcs SET chassis = ? WHERE key = ?", encoded, key) > 0) tables.changed(key);
    });
  }

  async bmc(key: string): Promise<BmcRecord | undefined> {
    return this.#record(this.#reader.get("SELECT * FROM bmcs WHERE key = ?", key));
  }

  async knowsBmc(key: string): Promise<boolean> {
    return this.#reader.get("SELECT 1 FROM bmcs WHERE key = ?", key) !== undefined;
  }

  async bmcOfMachine(machineKey: string): Promise<BmcRecord | undefined> {
    return this.#record(this.#reader.get("SELECT * FROM bmcs WHERE machine_key = ?", machineKey));
  }

  async bmcsOfUuid(uuid: string): Promise<BmcRecord[]> {
    const sql = `SELECT * FROM bmcs WHERE machine_uuid = ? ORDER BY ${listOrder}`;
    return this.#reader.all(sql, uuid).flatMap((row) => this.#record(row) ?? []);
  }

  async bmcs(): Promise<BmcRecord[]> {
    const accounts = Map.groupBy(
      this.#reader
        .all("SELECT * FROM accounts WHERE state <> ? ORDER BY sequence DESC", AccountState.ACCOUNT_STATE_RETIRED)
        .map((row) => accountRow(row, this.#box)),
      ({ bmcKey }) => bmcKey,
    );
    const found = this.#reader.all("SELECT * FROM machines WHERE key IN (SELECT machine_key FROM bmcs)");
    const machines = new Map(found.map(machineRow).map((machine) => [machine.key, machine]));
    const machineOfRow = ({ machineKey }: BmcRow) => (machineKey === undefined ? undefined : machines.get(machineKey));
    const rows = this.#reader.all(`SELECT * FROM bmcs ORDER BY ${listOrder}`).map(bmcRow);
    const ofUuid = Map.groupBy(rows, ({ machineUuid }) => machineUuid);
    const conflicts = this.#openConflicts();
    return rows.map((row) => ({
      row,
      machine: machineOfRow(row),
      account: accountInUse(accounts.get(row.key) ?? []),
      twins: row.machineUuid === undefined ? [] : twinsOf(row, ofUuid.get(row.machineUuid) ?? [], machineOfRow),
      conflicts: conflicts.get(row.key) ?? [],
    }));
  }

  async bmcOutlines(): Promise<BmcOutline[]> {
    const tables = new Tables(this.#reader, this.#box, this.#historyKept);
    const machineOfRow = ({ machineKey }: Pick<BmcRow, "machineKey">) =>
      machineKey === undefined ? undefined : tables.machine(machineKey);
    const conflicts = this.#openConflicts();
    const told = this.#reader.all("SELECT machine_uuid FROM bmcs GROUP BY machine_uuid HAVING count(*) > 1");
    const shared = new Set(told.map(({ machine_uuid: uuid }) => uuid));
    // Only what is shown: whole rows of 10,000 machines take a quarter of a second.
    const sql = `SELECT bmcs.key AS key, mac, machine_key, machine_uuid, drivers, state, state_reason, facts, given_address, claimed_by
      FROM bmcs LEFT JOIN machines ON machines.key = machine_key ORDER BY mac = '', mac, bmcs.key`;
    return this.#reader.all(sql).map((found) => {
      const row = listedRow(found);
      const { key, machineKey, machineUuid, claimedBy } = row;
      const isTwin = machineUuid !== undefined && shared.has(machineUuid);
      return {
        row,
        machine: machineKey === undefined ? undefined : new ListedMachine(claimedBy, tables, machineKey),
        twins: isTwin ? twinsOf(row, tables.bmcsOfUuid(machineUuid), machineOfRow) : [],
        conflicts: conflicts.get(key) ?? [],
      };
    });
  }

  #openConflicts(): ReadonlyMap<string, ConflictRow[]> {
    return Map.groupBy(listConflicts(this.#reader, false), ({ bmcKey }) => bmcKey);
  }

  async countByState(): Promise<ReadonlyMap<State, number>> {
    const rows = this.#reader.all("SELECT state, count(*) AS number FROM bmcs GROUP BY state");
    return new Map(rows.map(({ state, number }) => [Number(state) as State, Number(number)]));
  }

  async accounts(key: string): Promise<AccountRow[]> {
    return new Tables(this.#reader, this.#box, this.#historyKept).accounts(key);
  }

  async vouchedAccounts(key: string): Promise<ReadonlySet<string>> {
    return vouchedAccounts(this.#reader, key);
  }

  async updateDrivers(key: string, drivers: readonly string[], actor: string, now: Date): Promise<void> {
    await this.#write((tables) => {
      const row = existing(tables, key);
      if (JSON.stringify(row.drivers) === JSON.stringify(drivers)) return;
      const sql = "UPDATE bmcs SET drivers = ?, changed_at = ? WHERE key = ?";
      tables.database.run(sql, JSON.stringify(drivers), now.getTime(), key);
      tables.changed(key);
      tables.addHistory(entryOf(row, now, actor, "drivers changed", drivers.join(", ")));
    });
  }

  async deleteBmc(key: string, actor: string, now: Date): Promise<void> {
    await this.#write((tables) => {
      const row = existing(tables, key);
      tables.deleteBmc(row);
      acceptAllOf(tables.database, key, actor, now);
      tables.addHistory(entryOf(row, now, actor, "deleted", "the row and its accounts; the BMC was not touched"));
    });
  }

  async conflicts(all: boolean): Promise<ConflictRow[]> {
    return listConflicts(this.#reader, all);
  }

  async resolveConflict(id: number, decision: Decision, actor: string, now: Date): Promise<ConflictRow> {
    return this.#write((tables) => resolveConflict(tables, id, decision, actor, now));
  }

  async appendAudit(entry: NewAuditEntry): Promise<AuditEntryRow> {
    return this.#group.run(() => appendAudit(this.#database, entry));
  }

  async audit(query: AuditQuery): Promise<AuditPage> {
    return readAudit(this.#reader, query);
  }

  async addHistory(entry: HistoryRow): Promise<void> {
    await this.#write((tables) => tables.addHistory(entry));
  }

  async history(key: string, limit: number): Promise<HistoryRow[]> {
    const sql = "SELECT * FROM history WHERE mac = ? OR machine_uuid = ? ORDER BY id DESC LIMIT ?";
    return this.#reader.all(sql, key, key, limit).map(historyRow);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.clear();
    this.#group.flush();
    this.#reader[Symbol.dispose]();
    this.#database[Symbol.dispose]();
  }

  /** All or nothing; on the disk when it resolves, and then who listens has heard of it. */
  async #write<T>(work: (tables: Tables) => T): Promise<T> {
    const tables = new Tables(this.#database, this.#box, this.#historyKept);
    const result = await this.#group.run(() => work(tables));
    for (const change of tables.changes) for (const listener of this.#listeners) listener(change);
    return result;
  }

  #record(found: SqlRow | undefined): BmcRecord | undefined {
    if (found === undefined) return undefined;
    const row = bmcRow(found);
    const tables = new Tables(this.#reader, this.#box, this.#historyKept);
    const machineOfRow = ({ machineKey }: BmcRow) =>
      machineKey === undefined ? undefined : tables.machine(machineKey);
    return {
      row,
      machine: machineOfRow(row),
      account: accountInUse(tables.accounts(row.key)),
      twins: row.machineUuid === undefined ? [] : twinsOf(row, tables.bmcsOfUuid(row.machineUuid), machineOfRow),
      conflicts: openConflictsOf(this.#reader, row.key),
    };
  }
}

/** See BmcOutline. */
class ListedMachine {
  readonly claimedBy: string;
  readonly #tables: Tables;
  readonly #key: string;

  constructor(claimedBy: string, tables: Tables, key: string) {
    this.claimedBy = claimedBy;
    this.#tables = tables;
    this.#key = key;
  }

  get machine(): Machine | undefined {
    return this.#tables.machine(this.#key)?.machine;
  }
}

function twinsOf(
  row: Pick<BmcRow, "key">,
  ofUuid: readonly BmcRow[],
  machineOfRow: (row: BmcRow) => MachineRow | undefined,
): Twin[] {
  return ofUuid
    .filter(({ key }) => key !== row.key)
    .map((twin) => ({ key: twin.key, boardSerial: boardSerial(machineOfRow(twin)?.machine) }));
}

/** SQLite would make the file with whatever the umask leaves, and gives its own files beside it the same mode. */
function makeForOwner(path: string): void {
  try {
    closeSync(openSync(path, "ax", 0o600));
  } catch (error) {
    throw new StoreError("unwritable", `database ${path} cannot be made: ${systemReason(error)}`, { cause: error });
  }
}

/** Takes a few pages, as an account does, and gives them back. */
function tryRoom(database: Database): void {
  database.run("INSERT INTO settings (name, value) VALUES ('room', zeroblob(16384))");
  database.run("DELETE FROM settings WHERE name = 'room'");
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
