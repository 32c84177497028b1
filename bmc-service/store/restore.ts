import { chmod, copyFile, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { appendAudit } from "../audit/audit-log.ts";
import { backupBegan, doneHere } from "../audit/done-here.ts";
import { ConfigError, systemReason } from "../config-error.ts";
import { removeDatabase } from "./backup.ts";
import { type SealFound, takeOffSeal } from "./backup-seal.ts";
import { Database } from "./database.ts";
import { backupInRestore, type DatabaseRole } from "./database-role.ts";
import { restoringPath } from "./half-restore.ts";
import { isThere } from "./is-there.ts";
import { wrongKey } from "./key-check.ts";
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
  /** Whether a backup is taken of which it cannot be told that it is what was once made. */
  readonly acceptDoubtful: boolean;
  readonly now: Date;
}

export interface Restored extends CopyFound {
  /** Where the former database is now. */
  readonly aside: string | undefined;
  /** What is doubtful about it; empty: nothing. */
  readonly doubts: readonly string[];
}

/**
 * Puts a backup in the place of the database. It is copied and read through first; until then nothing is changed. Interrupted
 * after that, the service has either database, or refuses to start and this is to be run again. Call it under the StoreLock.
 * @throws ConfigError, StoreError
 */
export async function restore(options: RestoreOptions): Promise<Restored> {
  const { database, file, keys, force, acceptDoubtful, now } = options;
  const role = backupInRestore(file, database);
  const copy = restoringPath(database);
  const aside = `${database}.before-${now.toISOString().replaceAll(/[:.]/g, "-")}`;
  let tookAway = false;
  await requireWhole(file, copy).catch((error: unknown) => {
    throw asFileError(error, file);
  });
  try {
    const isThereAlready = await isThere(database);
    if (isThereAlready && !force) {
      const text = `${database} is there already; --force puts it aside, as ${database}.before-TIME`;
      throw new ConfigError("--data", text);
    }
    await removeDatabase(copy);
    await copyFile(file, copy);
    await chmod(copy, 0o600);
    await giveToOwnerOf(dirname(database), copy);
    const seal = await takeOffSeal(copy, keys);
    if (!acceptDoubtful) requireSeal(seal, role);
    const { key: _, ...found } = verifyCopy(copy, keys, role);
    const doubts = [...doubtOfSeal(seal), ...(found.auditHolds ? [] : ["its audit log does not hold"])];
    if (doubts.length > 0 && !acceptDoubtful) throw doubtful(role, doubts);
    noteRestored(copy, role, { file, aside: isThereAlready ? aside : undefined, doubts });
    await syncToDisk(copy);
    if (isThereAlready) closeLog(database);
    tookAway = isThereAlready;
    if (isThereAlready) await rename(database, aside);
    // What a damaged database could not take into itself goes with it: SQLite would play it into the new one.
    if (await isThere(`${database}-wal`)) await rename(`${database}-wal`, `${aside}-wal`);
    await rm(`${database}-shm`, { force: true });
    await rename(copy, database);
    await syncToDisk(dirname(database));
    return { ...found, doubts, aside: isThereAlready ? aside : undefined };
  } catch (error) {
    // Left where the database is gone: it keeps the service from starting with an empty one.
    if (!tookAway) await removeDatabase(copy).catch(() => undefined);
    throw asFileError(error, file);
  }
}

function asFileError(error: unknown, file: string): Error {
  if (error instanceof ConfigError || error instanceof StoreError) return error;
  return new ConfigError("FILE", `${file} cannot be restored: ${systemReason(error)}`, { cause: error });
}

/** A database that was copied by hand, beside its write-ahead log, lacks what was stored last. */
async function requireWhole(file: string, copy: string): Promise<void> {
  if (!(await isThere(file))) throw new ConfigError("FILE", `${file}: there is no such file`);
  if (!(await stat(file)).isFile()) throw new ConfigError("FILE", `${file} is no regular file, so no backup`);
  if ((await realpath(file)) === join(await realpath(dirname(copy)), basename(copy))) {
    throw new ConfigError(
      "FILE",
      `${file} is what an earlier restore has left and this one replaces: move it elsewhere first`,
    );
  }
  if (!(await isThere(`${file}-wal`))) return;
  const text = `${file} is no backup but a database in use: ${file}-wal holds what was stored last. Make one by bmc-service backup`;
  throw new ConfigError("FILE", text);
}

/**
 * The audit log goes on where it was at the time of the backup, and says so: what came after that is in the former database only.
 * A backup of an older release gets today's schema, as the next start of the service would give it.
 */
function noteRestored(copy: string, role: DatabaseRole, { file, aside, doubts }: RestoredFrom): void {
  using database = new Database(copy, undefined, role);
  migrate(database, migrations);
  database.execute("PRAGMA application_id = 0");
  const began = backupBegan(database);
  const made = began === undefined ? "made at a time that it does not tell" : `made at ${began.toISOString()}`;
  const former = aside === undefined ? [] : [`the former database is ${aside}`];
  const detail = [`from ${file}, ${made}`, ...doubts.map((doubt) => `accepted although ${doubt}`), ...former].join(
    "; ",
  );
  database.transaction(() => appendAudit(database, doneHere("Restore", detail)));
}

interface RestoredFrom {
  readonly file: string;
  readonly aside: string | undefined;
  readonly doubts: readonly string[];
}

/** @throws StoreError that says what is wrong with the seal */
function requireSeal(found: SealFound, role: DatabaseRole): void {
  if (found === "whole") return;
  if (found === "other key") throw wrongKey(role);
  throw doubtful(role, doubtOfSeal(found));
}

function doubtOfSeal(found: SealFound): string[] {
  switch (found) {
    case "whole":
      return [];
    case "missing":
      return ["it has no seal (an older release made it, or it is a database that was copied or put aside)"];
    case "broken":
      return ["it is damaged, or was changed after it was made"];
    case "other key":
      return ["its seal was made with another key"];
    default:
      return found satisfies never;
  }
}

function doubtful({ content }: DatabaseRole, doubts: readonly string[]): StoreError {
  return new StoreError(
    "corrupt",
    `${content}: ${doubts.join("; ")}. Nothing was changed. Take another backup; only if there is no better one, ` +
      "--accept-doubtful takes this one as far as it can be read",
  );
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
