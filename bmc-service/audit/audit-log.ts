import { createHash } from "node:crypto";
import type { Database, SqlRow } from "../store/database.ts";

/** Entries that are in memory at once where the whole log is read. */
const pageSize = 1_000;

/** What is written down of a change or a look at a secret. Never a secret. */
export interface NewAuditEntry {
  readonly at: Date;
  /** Common name of the caller's certificate; "bmc-service" for a command on the service's own machine. */
  readonly actor: string;
  readonly role: string;
  /** "SetPower", "ShowSecrets", "Backup". */
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

/** Entries, and whether they hold. */
export interface AuditPage {
  /** Newest first. */
  readonly entries: readonly AuditEntryRow[];
  /** See `readAudit`. */
  readonly intact: boolean;
}

/**
 * Reads entries and looks whether each of them follows from the one before it, whether one is missing between them, and whether the
 * last one is that which SQLite remembers as such. It costs what it reads; who reads all pages has looked at the whole log.
 *
 * Whoever can write to the file can make a new log with new hashes; the service's own log has number and hash of the last entry of
 * each call, and is to be kept elsewhere.
 */
export function readAudit(database: Database, { limit, subjects, before }: AuditQuery): AuditPage {
  const { newest, last } = ends(database);
  const below = Math.min(before ?? newest + 1, newest + 1);
  const rows =
    subjects === undefined
      ? database.all("SELECT * FROM audit WHERE number < ? ORDER BY number DESC LIMIT ?", below, limit)
      : database.all(
          `SELECT * FROM audit WHERE number < ? AND subject IN (SELECT value FROM json_each(?))
           ORDER BY number DESC LIMIT ?`,
          below,
          JSON.stringify(subjects),
          limit,
        );
  const entries = rows.map(entryOf);
  const isGapless = subjects !== undefined || hasNoGap(entries, below, limit);
  return {
    entries,
    intact: newest === last && isGapless && entries.every((entry, i) => follows(entry, entries[i + 1])),
  };

  /** @param next the entry after it on the page */
  function follows(entry: AuditEntryRow, next: AuditEntryRow | undefined): boolean {
    const { number } = entry;
    const previous =
      next?.number === number - 1 ? next : database.get("SELECT number, hash FROM audit WHERE number = ?", number - 1);
    if ((previous === undefined) !== (number === 1)) return false;
    return hashOf(previous?.hash, number, entry).equals(entry.hash);
  }
}

/** Whether the whole log holds; a database from before there was one has none that could be wrong. */
export function auditHolds(database: Database): boolean {
  if (database.get("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'audit'") === undefined) return true;
  let before: number | undefined;
  for (;;) {
    const { entries, intact } = readAudit(database, { limit: pageSize, subjects: undefined, before });
    if (!intact) return false;
    if (entries.length < pageSize) return true;
    before = entries.at(-1)?.number;
  }
}

/** The newest entry that is there, and the last one that was ever written; 0: none. */
function ends(database: Database): { readonly newest: number; readonly last: number } {
  const row = database.get(
    `SELECT (SELECT max(number) FROM audit) AS newest, (SELECT seq FROM sqlite_sequence WHERE name = 'audit') AS last`,
  );
  return { newest: Number(row?.newest ?? 0), last: Number(row?.last ?? 0) };
}

/** Whether they are all that there have to be below a number. */
function hasNoGap(entries: readonly AuditEntryRow[], below: number, limit: number): boolean {
  return (
    entries.length === Math.min(limit, Math.max(below - 1, 0)) &&
    entries.every(({ number }, i) => number === below - 1 - i)
  );
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
