import { ConflictDecision } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { noPlace } from "./claim.ts";
import type { Database, SqlRow } from "./database.ts";
import { boardSerial, toldBy } from "./machines.ts";
import {
  type AcceptedClaim,
  type BmcRow,
  type Claim,
  ConflictDecidedError,
  type ConflictRow,
  type Decision,
  NoSuchRowError,
  type Session,
} from "./store.ts";
import type { Tables } from "./tables.ts";

/** Conflicts kept. Those that were decided make room; when all are open, one more entry counts what comes. */
const kept = 1_000;
/**
 * Open ones against one row, and by one certificate: who makes many leaves room for others. Those by a machine with the UUID of the
 * linked one have places of their own: it may be that machine, with a part that was replaced.
 */
const openOfRow = 50;
const openOfOwnUuid = 10;
const openOfClaimant = kept / 2;

const {
  CONFLICT_DECISION_UNSPECIFIED: open,
  CONFLICT_DECISION_ACCEPTED: accepted,
  CONFLICT_DECISION_ACCEPTED_AS_SEPARATE: acceptedAsSeparate,
  CONFLICT_DECISION_DISMISSED: dismissed,
} = ConflictDecision;

/** What a session claims: what it says of its machine, and of its BMC. */
export function claimOf(
  tables: Tables,
  session: Pick<Session, "id" | "machineUuid">,
  { claimedMac, claimedAddress, claimedGuid }: Pick<Claim, "claimedMac" | "claimedAddress" | "claimedGuid">,
): Claim {
  const { machine } = toldBy(tables, session);
  const { machineUuid } = session;
  return { machineUuid, boardSerial: boardSerial(machine), claimedMac, claimedAddress, claimedGuid };
}

/**
 * Keeps a claim; the same one is kept once and counted while it is open.
 * @returns whether it is new, and none had to go for it: a flood of them fills no history
 */
export function keepClaim(
  tables: Tables,
  row: BmcRow,
  session: Pick<Session, "id">,
  claim: Claim,
  text: string,
  now: Date,
): boolean {
  const entry = { ...claim, bmcKey: row.key, claimedBy: toldBy(tables, session).claimedBy, text };
  if (countAgain(tables.database, entry, now)) return false;
  const isRoom = makeRoom(tables, entry, row.machineUuid ?? "");
  const overflow = {
    ...noClaim,
    bmcKey: "",
    claimedBy: "",
    text:
      `claims beyond those that are kept (${kept}, ${openOfRow} against one row, ${openOfOwnUuid} more by machines with its UUID, ` +
      `${openOfClaimant} by one certificate): ` +
      "decide about those, and find out who makes so many",
  };
  if (!isRoom && !countAgain(tables.database, overflow, now)) insert(tables.database, overflow, now);
  insert(tables.database, entry, now);
  tables.changed(row.key);
  return isRoom;
}

const noClaim: Claim = { machineUuid: "", boardSerial: "", ...noPlace };

type Entry = Claim & Pick<ConflictRow, "bmcKey" | "claimedBy" | "text">;

function countAgain(database: Database, entry: Entry, now: Date): boolean {
  const sql = `UPDATE conflicts SET count = count + 1, last_at = ?, claimed_by = ?
    WHERE decision = 0 AND bmc_key = ? AND machine_uuid = ? AND board_serial = ? AND claimed_mac = ? AND claimed_address = ?
      AND claimed_guid = ?`;
  const { bmcKey, machineUuid, boardSerial: serial, claimedMac, claimedAddress, claimedGuid } = entry;
  const identity = [bmcKey, machineUuid, serial, claimedMac, claimedAddress, claimedGuid];
  return database.run(sql, now.getTime(), entry.claimedBy, ...identity) > 0;
}

function insert(database: Database, entry: Entry, now: Date): void {
  database.run(
    `INSERT INTO conflicts (bmc_key, machine_uuid, board_serial, claimed_mac, claimed_address, claimed_guid, claimed_by, text,
       first_at, last_at, count)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)`,
    entry.bmcKey,
    entry.machineUuid,
    entry.boardSerial,
    entry.claimedMac,
    entry.claimedAddress,
    entry.claimedGuid,
    entry.claimedBy,
    entry.text,
    now.getTime(),
    now.getTime(),
  );
}

/**
 * Makes room for a claim. Where a share is full, the claim that was not made for the longest time goes, of whoever has most.
 * @param ownUuid of the machine that is linked
 * @returns whether no open claim had to go
 */
function makeRoom(tables: Tables, { bmcKey, claimedBy, machineUuid }: Entry, ownUuid: string): boolean {
  const isOwn = machineUuid === ownUuid;
  const ofRow = `bmc_key = ? AND machine_uuid ${isOwn ? "=" : "<>"} ?`;
  const hasRoom = [
    keepShare(tables, isOwn ? openOfOwnUuid : openOfRow, ofRow, bmcKey, ownUuid),
    keepShare(tables, openOfClaimant, "claimed_by = ?", claimedBy),
    forgetDecided(tables.database) || keepShare(tables, kept, "TRUE"),
  ];
  return hasRoom.every(Boolean);
}

/** @returns whether there is room in the share for one more; if not, there is now */
function keepShare(tables: Tables, most: number, which: string, ...values: string[]): boolean {
  const ofShare = `decision = 0 AND bmc_key <> '' AND ${which}`;
  const { number } = tables.database.get(`SELECT count(*) AS number FROM conflicts WHERE ${ofShare}`, ...values) ?? {};
  if (Number(number) < most) return true;
  const found = tables.database.get(
    `SELECT id, bmc_key, count(*) OVER (PARTITION BY bmc_key, claimed_by) AS number FROM conflicts WHERE ${ofShare}
     ORDER BY number DESC, last_at, id LIMIT 1`,
    ...values,
  );
  const { id = 0, bmc_key: key } = found ?? {};
  tables.database.run("DELETE FROM conflicts WHERE id = ?", id);
  if (tables.bmc(String(key)) !== undefined) tables.changed(String(key));
  return false;
}

/** Those that were decided make room first. @returns whether one has */
function forgetDecided(database: Database): boolean {
  const { number } = database.get("SELECT count(*) AS number FROM conflicts WHERE bmc_key <> ''") ?? {};
  if (Number(number) < kept) return false;
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
    const how = before.decision === dismissed ? "dismissed" : "accepted";
    throw new ConflictDecidedError(`conflict ${id} was ${how} by "${before.decidedBy}" already`);
  }
  if (decision !== dismissed && before.bmcKey === "") {
    throw new ConflictDecidedError(`conflict ${id} stands for many claims that are not kept: it can be dismissed only`);
  }
  const row = tables.bmc(before.bmcKey);
  if (decision === acceptedAsSeparate && !isOfTwin(before, row)) {
    throw new ConflictDecidedError(
      `conflict ${id} is not about a machine that reports another BMC than the linked one: it cannot be accepted as a separate machine`,
    );
  }
  decide(tables.database, "id = ?", id, decision, actor, now);
  if (row !== undefined) {
    const done = decision === dismissed ? "conflict dismissed" : "conflict accepted";
    const detail = `${id}: ${before.text}`;
    tables.addHistory({ at: now, mac: row.mac, machineUuid: row.machineUuid ?? "", actor, action: done, detail });
    if (decision !== dismissed) allow(tables, row, before, decision === acceptedAsSeparate, actor, now);
    tables.changed(row.key);
  }
  return existing(tables.database, id);
}

/** Whether another machine with the UUID of the row's may have made the claim. */
function isOfTwin({ machineUuid, claimedMac }: ConflictRow, row: BmcRow | undefined): boolean {
  return row?.machineUuid === machineUuid && claimedMac !== "" && claimedMac !== row.mac;
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
 * The row stays as it is. Exactly that claim may be made again and is taken then; who claims anything else is refused as before.
 * A later decision takes the place of an earlier one that nobody has made use of.
 */
function allow(tables: Tables, row: BmcRow, conflict: ConflictRow, separate: boolean, actor: string, now: Date): void {
  const { id, machineUuid, boardSerial: serial, claimedMac, claimedAddress, claimedGuid } = conflict;
  const claim = { machineUuid, boardSerial: serial, claimedMac, claimedAddress, claimedGuid };
  const accept: AcceptedClaim = { conflict: id, ...claim, ...(separate && { separate }) };
  tables.database.run("UPDATE bmcs SET accepted_claim = ? WHERE key = ?", JSON.stringify(accept), row.key);
  const claimant = separate ? "a further machine with this UUID" : `machine ${machineUuid}`;
  const reason = `conflict ${id} was accepted by "${actor}": what ${claimant} claims is taken when it boots again`;
  tables.setRemark(row, reason, now);
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
    claimedAddress: String(row.claimed_address),
    claimedGuid: String(row.claimed_guid),
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
