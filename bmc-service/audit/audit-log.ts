import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { Database, SqlRow } from "../store/database.ts";

/** What is written down of a change or a look at a secret. Never a secret. */
export interface NewAuditEntry {
  readonly at: Date;
  /** Common name of the caller's certificate; "bmc-service" for a command on the service's own machine. */
  readonly actor: string;
  readonly role: string;
  /** "SetPower", "show secrets". */
  readonly action: string;
  /** Key of the row, or identifier of the token or conflict. */
  readonly subject: string;
  readonly detail: string;
  /** Status code of the answer; "BEGUN" for a change that is about to be made. */
  readonly result: string;
  /** Address of the caller; empty for a command on the service's own machine. */
  readonly from: string;
}

export interface AuditEntryRow extends NewAuditEntry {
  /** From 1, without gaps. */
  readonly number: number;
  /** SHA-256 over the hash of the entry before and this one. */
  readonly hash: Uint8Array;
}

/** Which entries are wanted, the newest first. */
export interface AuditQuery {
  readonly limit: number;
  /** Undefined: whatever they are about. */
  readonly subjects: readonly string[] | undefined;
  /** Only numbers below this one; undefined: from the newest. */
  readonly before: number | undefined;
}

/** Entries hashed at a stretch before others get their turn. */
const stretch = 1_000;

/**
 * Writes an entry behind the last one. For use inside a transaction: it is on the disk when that ends.
 * @throws StoreError
 */
export function appendAudit(database: Database, entry: NewAuditEntry): AuditEntryRow {
  const last = database.get("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1");
  const number = Number(last?.number ?? 0) + 1;
  const hash = hashOf(last?.hash, number, entry);
  database.run(
    `INSERT INTO audit (number, at, actor, role, action, subject, detail, result, origin, hash)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    number,
    entry.at.getTime(),
    entry.actor,
    entry.role,
    entry.action,
    entry.subject,
    entry.detail,
    entry.result,
    entry.from,
    hash,
  );
  return { ...entry, number, hash };
}

/** What a command on the service's own machine has changed. */
export function doneHere(action: string, detail: string): NewAuditEntry {
  return { at: new Date(), actor: "bmc-service", role: "", action, subject: "", detail, result: "OK", from: "" };
}

/** Newest first. */
export function readAudit(database: Database, { limit, subjects, before }: AuditQuery): AuditEntryRow[] {
  const sql = `SELECT * FROM audit WHERE number < coalesce(?, number + 1)
    AND (? IS NULL OR subject IN (SELECT value FROM json_each(?))) ORDER BY number DESC LIMIT ?`;
  const wanted = subjects === undefined ? null : JSON.stringify(subjects);
  return database.all(sql, before ?? null, wanted, wanted, limit).map(entryOf);
}

/**
 * Whether no entry was changed or taken away: the hashes hold from the first entry to the last, and the last is the one that
 * SQLite remembers as such. Whoever can write to the file can make a new log with new hashes; the service's own log has number
 * and hash of the last entry of each call, and is to be kept elsewhere.
 */
export async function isAuditIntact(database: Database): Promise<boolean> {
  let last: { readonly number: number; readonly hash: unknown } = { number: 0, hash: undefined };
  for (;;) {
    const rows = database.all("SELECT * FROM audit WHERE number > ? ORDER BY number LIMIT ?", last.number, stretch);
    for (const row of rows) {
      const entry = entryOf(row);
      const expected = hashOf(last.hash, last.number + 1, entry);
      if (entry.number !== last.number + 1 || !expected.equals(entry.hash)) return false;
      last = entry;
    }
    if (rows.length < stretch) {
      return Number(database.get("SELECT seq FROM sqlite_sequence WHERE name = 'audit'")?.seq ?? 0) === last.number;
    }
    await setImmediate();
  }
}

function hashOf(previous: unknown, number: number, entry: NewAuditEntry): Buffer {
  const { at, actor, role, action, subject, detail, result, from } = entry;
  return createHash("sha256")
    .update(previous instanceof Uint8Array ? previous : new Uint8Array(32))
    .update(JSON.stringify([number, at.getTime(), actor, role, action, subject, detail, result, from]))
    .digest();
}

function entryOf(row: SqlRow): AuditEntryRow {
  return {
    number: Number(row.number),
    at: new Date(Number(row.at)),
    actor: String(row.actor),
    role: String(row.role),
    action: String(row.action),
    subject: String(row.subject),
    detail: String(row.detail),
    result: String(row.result),
    from: String(row.origin),
    hash: row.hash instanceof Uint8Array ? row.hash : new Uint8Array(),
  };
}
