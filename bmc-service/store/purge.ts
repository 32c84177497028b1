import type { Database } from "./database.ts";
import { StoreError } from "./store-error.ts";

const name = "purge wanted";

/** Notes, in the transaction that makes contents obsolete, that they have to go from the files too. */
export function requestPurge(database: Database): void {
  database.run("INSERT INTO settings (name, value) VALUES (?, x'') ON CONFLICT DO NOTHING", name);
}

/**
 * Rewrites the file without its free parts and empties the write-ahead log, if that was requested: then no file of the
 * database holds anything that was deleted or sealed anew. Needs as much free disk as the database has, twice.
 * @throws StoreError; the request stays then
 */
export function finishPurge(database: Database): void {
  if (database.get("SELECT 1 FROM settings WHERE name = ?", name) === undefined) return;
  database.execute("VACUUM");
  emptyLog(database);
  database.run("DELETE FROM settings WHERE name = ?", name);
}

/** @throws StoreError "locked" if another process reads the database */
export function emptyLog(database: Database): void {
  const { busy } = database.get("PRAGMA wal_checkpoint(TRUNCATE)") ?? {};
  if (busy === 0) return;
  throw new StoreError(
    "locked",
    `database ${database.path}: another process reads it (a backup?); try again after that`,
  );
}
