import { open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { doneHere, noteDoneHere } from "../audit/done-here.ts";
import { ConfigError, systemReason } from "../config-error.ts";
import { Database } from "./database.ts";
import { isThere } from "./is-there.ts";
import { StoreError } from "./store-error.ts";
import { syncToDisk } from "./sync-to-disk.ts";
import { type CopyFound, verifyCopy } from "./verify-copy.ts";

export interface BackupOptions {
  /** Path of the database; a service may work with it. */
  readonly database: string;
  readonly file: string;
  /** One of them is the key of the database. */
  readonly keys: readonly Uint8Array[];
  /** Whether to replace a file that is there. */
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
export async function backUp({ database, file, keys, force, progress }: BackupOptions): Promise<BackupMade> {
  const unfinished = `${file}.unfinished`;
  try {
    if (!force && (await isThere(file))) {
      throw new ConfigError("FILE", `${file} is there already: give another name, or --force to replace it`);
    }
    await removeDatabase(unfinished);
    await (await open(unfinished, "wx", 0o600)).close();
    {
      using source = new Database(database);
      noteDoneHere(source, doneHere("backup", `to ${file}`, "BEGUN"));
      await source.copyTo(unfinished, progress);
    }
    const found = verifyCopy(unfinished, keys);
    await syncToDisk(unfinished);
    const { size: bytes } = await stat(unfinished);
    await rename(unfinished, file);
    await syncToDisk(dirname(file));
    using source = new Database(database);
    return { ...found, bytes, notAudited: noteDoneHere(source, doneHere("backup", `to ${file}`)) };
  } catch (error) {
    await removeDatabase(unfinished).catch(() => undefined);
    if (error instanceof ConfigError || error instanceof StoreError) throw error;
    throw new ConfigError("FILE", `${file} cannot be written: ${systemReason(error)}`, { cause: error });
  }
}

/** With the files that SQLite keeps beside it. */
export async function removeDatabase(path: string): Promise<void> {
  for (const each of [path, `${path}-journal`, `${path}-wal`, `${path}-shm`]) await rm(each, { force: true });
}
