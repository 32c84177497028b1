import { chmod, copyFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { appendAudit } from "../audit/audit-log.ts";
import { backupBegan, doneHere } from "../audit/done-here.ts";
import { ConfigError, systemReason } from "../config-error.ts";
import { removeDatabase } from "./backup.ts";
import { Database } from "./database.ts";
import { restoringPath } from "./half-restore.ts";
import { isThere } from "./is-there.ts";
import { migrate } from "./migrate.ts";
import { migrations } from "./migrations/index.ts";
import { giveToOwnerOf } from "./owner.ts";
import { StoreError } from "./store-error.ts";
import { syncToDisk } from "./sync-to-disk.ts";
import { type CopyFound, verifyCopy } from "./verify-copy.ts";

export interface RestoreOptions {
  /** Path of the database that the backup becomes. */
  readonly database: string;
  readonly file: string;
  /** One of them is the key of the backup. */
  readonly keys: readonly Uint8Array[];
  /** Whether a database that is there may be put aside. */
  readonly force: boolean;
  readonly now: Date;
}

export interface Restored extends CopyFound {
  /** Where the former database is now. */
  readonly aside: string | undefined;
}

/**
 * Puts a backup in the place of the database. It is copied and read through first; until then nothing is changed. Interrupted
 * after that, the service has either database, or refuses to start and this is to be run again. Call it under the StoreLock.
 * @throws ConfigError, StoreError
 */
export async function restore({ database, file, keys, force, now }: RestoreOptions): Promise<Restored> {
  const copy = restoringPath(database);
  const aside = `${database}.before-${now.toISOString().replaceAll(/[:.]/g, "-")}`;
  let tookAway = false;
  try {
    await requireWhole(file);
    const isThereAlready = await isThere(database);
    if (isThereAlready && !force) {
      const text = `${database} is there already; --force puts it aside, as ${database}.before-TIME`;
      throw new ConfigError("--data", text);
    }
    await removeDatabase(copy);
    await copyFile(file, copy);
    await chmod(copy, 0o600);
    await giveToOwnerOf(dirname(database), copy);
    const found = verifyCopy(copy, keys);
    noteRestored(copy, file, isThereAlready ? aside : undefined);
    await syncToDisk(copy);
    if (isThereAlready) closeLog(database);
    tookAway = isThereAlready;
    if (isThereAlready) await rename(database, aside);
    // What a damaged database could not take into itself goes with it: SQLite would play it into the new one.
    if (await isThere(`${database}-wal`)) await rename(`${database}-wal`, `${aside}-wal`);
    await rm(`${database}-shm`, { force: true });
    await rename(copy, database);
    await syncToDisk(dirname(database));
    return { ...found, aside: isThereAlready ? aside : undefined };
  } catch (error) {
    // Left where the database is gone: it keeps the service from starting with an empty one.
    if (!tookAway) await removeDatabase(copy).catch(() => undefined);
    if (error instanceof ConfigError || error instanceof StoreError) throw error;
    throw new ConfigError("FILE", `${file} cannot be restored: ${systemReason(error)}`, { cause: error });
  }
}

/** A database that was copied by hand, beside its write-ahead log, lacks what was stored last. */
async function requireWhole(file: string): Promise<void> {
  if (!(await isThere(file))) throw new ConfigError("FILE", `${file}: there is no such file`);
  if (!(await isThere(`${file}-wal`))) return;
  const text = `${file} is no backup but a database in use: ${file}-wal holds what was stored last. Make one by bmc-service backup`;
  throw new ConfigError("FILE", text);
}

/**
 * The audit log goes on where it was at the time of the backup, and says so: what came after that is in the former database only.
 * A backup of an older release gets today's schema, as the next start of the service would give it.
 */
function noteRestored(copy: string, file: string, aside: string | undefined): void {
  using database = new Database(copy);
  migrate(database, migrations);
  const began = backupBegan(database);
  const from = `from ${file}, ${began === undefined ? "made at a time that it does not tell" : `made at ${began.toISOString()}`}`;
  const former = aside === undefined ? "" : `; the former database is ${aside}`;
  database.transaction(() => appendAudit(database, doneHere("restore", `${from}${former}`)));
}

/** Takes the write-ahead log into the database, unless it is damaged: then both are put aside as they are. */
function closeLog(path: string): void {
  try {
    using database = new Database(path);
    database.execute("PRAGMA journal_mode = DELETE");
  } catch (error) {
    if (!(error instanceof StoreError) || error.problem === "locked") throw error;
  }
}
