import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { ConflictDecision } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { Database, SqlRow } from "./database.ts";
import { boardSerial, toldBy } from "./machines.ts";
import {
  type BmcRow,
  ConflictDecidedError,
  type ConflictRow,
  type Decision,
  NoSuchRowError,
  type Session,
} from "./store.ts";
import type { Tables } from "./tables.ts";

/** Conflicts kept. Those that were decided make room; when all are open, one more entry counts what comes. */
const kept = 1_000;

const { CONFLICT_DECISION_UNSPECIFIED: open, CONFLICT_DECISION_ACCEPTED: accepted } = ConflictDecision;

/**
 * Keeps a claim; the same one is kept once and counted while it is open.
 * @returns whether it is new
 */
export function keepClaim(tables: Tables, row: BmcRow, session: Session, claimedMac: string, text: string, now: Date) {
  const { machine, claimedBy } = toldBy(tables, session);
  const claim = {
    bmcKey: row.key,
    machineUuid: session.machineUuid,
    boardSerial: boardSerial(machine),
    claimedMac,
    claimedBy,
    text,
  };
  if (countAgain(tables.database, claim, now)) return false;
  const isRoom = makeRoom(tables.database);
  const overflow = {
    bmcKey: "",
    machineUuid: "",
    boardSerial: "",
    claimedMac: "",
    claimedBy: "",
    text: `claims beyond the ${kept} that are kept: decide about those, and find out who makes so many`,
  };
  if (!isRoom && countAgain(tables.database, overflow, now)) return false;
  insert(tables.database, isRoom ? claim : overflow, now);
  tables.changed(row.key);
  return isRoom;
}

type Claim = Omit<ConflictRow, "id" | "firstAt" | "lastAt" | "count" | "decision" | "decidedBy" | "decidedAt">;

function countAgain(
  database: Database,
  { bmcKey, machineUuid, boardSerial: serial, claimedMac, claimedBy }: Claim,
  now: Date,
) {
  const sql = `UPDATE conflicts SET count = count + 1, last_at = ?, claimed_by = ?
    WHERE decision = 0 AND bmc_key = ? AND machine_uuid = ? AND board_serial = ? AND claimed_mac = ?`;
  return database.run(sql, now.getTime(), claimedBy, bmcKey, machineUuid, serial, claimedMac) > 0;
}

function insert(database: Database, claim: Claim, now: Date): void {
  database.run(
    `INSERT INTO conflicts (bmc_key, machine_uuid, board_serial, claimed_mac, claimed_by, text, first_at, last_at, count)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1)`,
    claim.bmcKey,
    claim.machineUuid,
    claim.boardSerial,
    claim.claimedMac,
    claim.claimedBy,
    claim.text,
    now.getTime(),
    now.getTime(),
  );
}

/** @returns whether there is room for one more */
function makeRoom(database: Database): boolean {
  const count = () => Number(database.get("SELECT count(*) AS number FROM conflicts WHERE bmc_key <> ''")?.number);
  if (count() < kept) return true;
  const oldest = "SELECT id FROM conflicts WHERE decision <> 0 ORDER BY decided_at, id LIMIT 1";
  return database.run(`DELETE FROM conflicts WHERE id IN (${oldest})`) > 0;
}

/** Newest first. */
export function listConflicts(database: Database, all: boolean): ConflictRow[] {
  const which = all ? "" : "WHERE decision = 0";
  return database.all(`SELECT * FROM conflicts ${which} ORDER BY last_at DESC, id DESC`).map(conflictRow);
}

/** The open ones of a row, newest first. */
export function openConflictsOf(database: Database, key: string): ConflictRow[] {
  const sql = "SELECT * FROM conflicts WHERE bmc_key = ? AND decision = 0 ORDER BY last_at DESC, id DESC";
  return database.all(sql, key).map(conflictRow);
}

/**
 * Stores what an operator decides. The same decision again changes nothing.
 * @throws NoSuchRowError, ConflictDecidedError
 */
export function resolveConflict(tables: Tables, id: number, decision: Decision, actor: string, now: Date): ConflictRow {
  const before = existing(tables.database, id);
  if (before.decision === decision) return before;
  if (before.decision !== open) {
    const how = before.decision === accepted ? "accepted" : "dismissed";
    throw new ConflictDecidedError(`conflict ${id} was ${how} by "${before.decidedBy}" already`);
  }
  if (decision === accepted && before.bmcKey === "") {
    throw new ConflictDecidedError(`conflict ${id} stands for many claims that are not kept: it can be dismissed only`);
  }
  decide(tables.database, "id = ?", id, decision, actor, now);
  const row = tables.bmc(before.bmcKey);
  if (row !== undefined) {
    const done = decision === accepted ? "conflict accepted" : "conflict dismissed";
    const detail = `${id}: ${before.text}`;
    tables.addHistory({ at: now, mac: row.mac, machineUuid: row.machineUuid ?? "", actor, action: done, detail });
    if (decision === accepted) unprove(tables, row, before, actor, now);
    tables.changed(row.key);
  }
  return existing(tables.database, id);
}

/** The row has gone, and nothing contradicts the claims against it any more. */
export function acceptAllOf(database: Database, key: string, actor: string, now: Date): void {
  decide(database, "decision = 0 AND bmc_key = ?", key, accepted, actor, now);
}

function decide(database: Database, which: string, value: string | number, decision: number, actor: string, now: Date) {
  const sql = `UPDATE conflicts SET decision = ?, decided_by = ?, decided_at = ? WHERE ${which}`;
  database.run(sql, decision, actor, now.getTime(), value);
}

/**
 * What was proved of the row counts no more; its accounts are kept, for they may open the BMC still. A machine that has said itself
 * that it has another BMC now, or none, leaves it.
 */
function unprove(tables: Tables, row: BmcRow, { id, machineUuid }: ConflictRow, actor: string, now: Date): void {
  const reason = `conflict ${id} was accepted by "${actor}": not proved until the next enrolment`;
  for (const account of tables.accounts(row.key)) {
    if (account.state !== AccountState.ACCOUNT_STATE_VERIFIED) continue;
    tables.setAccountState(account.id, AccountState.ACCOUNT_STATE_CONFIRMED, reason);
  }
  const machineKey = machineUuid === row.machineUuid ? null : (row.machineKey ?? null);
  tables.database.run("UPDATE bmcs SET reported_facts = NULL, machine_key = ? WHERE key = ?", machineKey, row.key);
  tables.setState(row.key, State.STATE_REPORTED, reason, now);
  tables.changedTwins(row);
}

function existing(database: Database, id: number): ConflictRow {
  const found = database.get("SELECT * FROM conflicts WHERE id = ?", id);
  if (found === undefined) throw new NoSuchRowError(`there is no conflict ${id}`);
  return conflictRow(found);
}

export function conflictRow(row: SqlRow): ConflictRow {
  return {
    id: Number(row.id),
    bmcKey: String(row.bmc_key),
    machineUuid: String(row.machine_uuid),
    boardSerial: String(row.board_serial),
    claimedMac: String(row.claimed_mac),
    claimedBy: String(row.claimed_by),
    text: String(row.text),
    firstAt: new Date(Number(row.first_at)),
    lastAt: new Date(Number(row.last_at)),
    count: Number(row.count),
    decision: Number(row.decision) as ConflictDecision,
    decidedBy: String(row.decided_by),
    decidedAt: row.decided_at === null ? undefined : new Date(Number(row.decided_at)),
  };
}
