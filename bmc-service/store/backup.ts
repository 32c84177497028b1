import { lstat, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { doneHere, noteDoneHere } from "../audit/done-here.ts";
import { ConfigError, systemReason } from "../config-error.ts";
import { backupApplicationId, isBackup, sealBackup } from "./backup-seal.ts";
import { Database } from "./database.ts";
import { backupInMaking, type DatabaseRole } from "./database-role.ts";
import { type OwnFiles, requireNotOwn } from "./own-files.ts";
import { StoreError } from "./store-error.ts";
import { syncToDisk } from "./sync-to-disk.ts";
import { type CopyFound, verifyCopy } from "./verify-copy.ts";

export interface BackupOptions {
  /** A service may work with them. */
  readonly own: OwnFiles;
  readonly file: string;
  /** One of them is the key of the database. */
  readonly keys: readonly Uint8Array[];
  /** Whether to replace a backup that is there. */
  readonly force: boolean;
  /** Gets the share that is done, 0 to 1. */
  readonly progress: (share: number) => void;
}

export interface BackupMade extends CopyFound {
  readonly bytes: number;
  /** Why it is not in the audit log; undefined if it is. A disk that is full must not keep anybody from making a backup. */
  readonly notAudited: string | undefined;
}

/**
 * Copies the database as it is now into one file, for its owner alone. The file has its name only when it is whole, was
 * read back and is on the disk.
 * @throws ConfigError, StoreError: then a file of that name is as it was
 */
export async function backUp({ own, file, keys, force, progress }: BackupOptions): Promise<BackupMade> {
  const { database } = own;
  const unfinished = `${file}.unfinished`;
  const role = backupInMaking(database, file);
  try {
    await requireNotOwn(file, own);
    await requireFree(file, force);
  } catch (error) {
    throw asFileError(error, file);
  }
  try {
    await removeDatabase(unfinished);
    await (await open(unfinished, "wx", 0o600)).close();
    {
      using source = new Database(database);
      noteDoneHere(source, doneHere("Backup", `to ${file}`, "BEGUN"));
      await source.copyTo(unfinished, progress, role);
    }
    markAsBackup(unfinished, role);
    const { key, ...found } = verifyCopy(unfinished, keys, role);
    await sealBackup(unfinished, key);
    await syncToDisk(unfinished);
    const { size: bytes } = await stat(unfinished);
    await rename(unfinished, file);
    await syncToDisk(dirname(file));
    using source = new Database(database);
    return { ...found, bytes, notAudited: noteDoneHere(source, doneHere("Backup", `to ${file}`)) };
  } catch (error) {
    await removeDatabase(unfinished).catch(() => undefined);
    throw asFileError(error, file);
  }
}

/** Only a backup is ever replaced: a link, a device or any other file is somebody's, or leads to something that is. */
async function requireFree(file: string, force: boolean): Promise<void> {
  const found = await lstat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isFile()) throw new ConfigError("FILE", `${file} is there, and no regular file: give another name`);
  if (!force) throw new ConfigError("FILE", `${file} is there already: give another name, or --force to replace it`);
  if (await isBackup(file)) return;
  const text = `${file} is there, and no backup, so --force does not replace it: give another name, or remove it first`;
  throw new ConfigError("FILE", text);
}

function markAsBackup(copy: string, role: DatabaseRole): void {
  using database = new Database(copy, undefined, role);
  database.execute(`PRAGMA journal_mode = DELETE; PRAGMA application_id = ${backupApplicationId}`);
}

function asFileError(error: unknown, file: string): Error {
  if (error instanceof ConfigError || error instanceof StoreError) return error;
  return new ConfigError("FILE", `${file} cannot be written: ${systemReason(error)}`, { cause: error });
}

/** With the files that SQLite keeps beside it. */
export async function removeDatabase(path: string): Promise<void> {
  for (const each of [path, `${path}-journal`, `${path}-wal`, `${path}-shm`]) await rm(each, { force: true });
}
