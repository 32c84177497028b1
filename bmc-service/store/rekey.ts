import { randomBytes } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { appendAudit } from "../audit/audit-log.ts";
import { doneHere } from "../audit/done-here.ts";
import { ConfigError, systemReason } from "../config-error.ts";
import { Database } from "./database.ts";
import { databaseKey, nextKeyPath, settle } from "./database-key.ts";
import { requireKey, writeKeyCheck } from "./key-check.ts";
import { type KeySource, readKey, writeKey } from "./key-file.ts";
import { migrate } from "./migrate.ts";
import { migrations } from "./migrations/index.ts";
import { giveToOwnerOf } from "./owner.ts";
import { finishPurge, requestPurge } from "./purge.ts";
import { type SecretsFound, visitSecrets } from "./sealed-columns.ts";
import { SealBrokenError, SecretBox, secretKeySize } from "./secret-box.ts";
import { StoreError } from "./store-error.ts";

/** Where a change of key can be interrupted, in order. */
export const rekeySteps = [
  "key written",
  "secrets half sealed",
  "secrets sealed",
  "committed",
  "keys settled",
  "purged",
] as const;

export interface RekeyOptions {
  /** Path of the database. */
  readonly database: string;
  readonly source: KeySource;
  /**
   * The file of the new key, made if it is missing; the old key's file is left as it is then. Undefined: the new key
   * takes the place of the old one, which is destroyed.
   */
  readonly newKey: string | undefined;
  /** Whether secrets that do not open are emptied; without it they are a reason to refuse. */
  readonly forgetDamaged: boolean;
  /** Whether former databases that restores have left go with the old key; without it they are a reason to refuse. */
  readonly deleteFormer: boolean;
  /** How long to wait for others that read the database, ms; default that of Database. */
  readonly lockTimeoutMs?: number;
  /** Called after each step, for tests. */
  readonly reached?: (step: (typeof rekeySteps)[number]) => void;
}

/**
 * Seals every secret of a database with a new key. Whenever it is interrupted, `databaseKey` finds the key that fits: the
 * new one is on the disk before the transaction begins, the old one until after its end. Call it under the StoreLock.
 * @throws ConfigError, StoreError: then the old key is the key, unless the message says otherwise
 */
export async function rekey(options: RekeyOptions): Promise<SecretsFound> {
  const { source, newKey, deleteFormer, reached = () => undefined } = options;
  if (newKey === undefined && source.guardedBySystemd) {
    const text = `${source.path} is systemd's to change: give the new key's file, and put it in the place of the credential`;
    throw new ConfigError("--new-key-file", text);
  }
  const oldKey = await databaseKey(source, options.database);
  const former = formerDatabases(options.database);
  if (former.length > 0 && !deleteFormer) throw formerThere(former);
  using database = new Database(options.database, options.lockTimeoutMs);
  migrate(database, migrations);
  requireKey(database, oldKey);
  database.useWriteAheadLog();
  const next = newKey ?? nextKeyPath(source.path);
  const key = await provideKey(next, newKey !== undefined, source.path, oldKey);
  reached("key written");
  let found: SecretsFound;
  try {
    found = sealAnew(database, new SecretBox(oldKey), new SecretBox(key), former, options);
  } catch (error) {
    // Looks which one fits: of a commit that fails on a bad disk nobody knows whether it is there.
    if (newKey === undefined) await databaseKey(source, options.database).catch(() => undefined);
    throw error;
  }
  reached("committed");
  if (newKey === undefined) await settle(source.path, next);
  reached("keys settled");
  purge(database);
  reached("purged");
  return found;
}

/** The new key, on the disk and for the owner of the old one. */
async function provideKey(path: string, isGiven: boolean, old: string, oldKey: Uint8Array): Promise<Uint8Array> {
  const present = isGiven ? await readKey({ path, guardedBySystemd: false }) : undefined;
  if (present !== undefined) {
    if (Buffer.from(present).equals(oldKey)) {
      throw new ConfigError("--new-key-file", `${path} holds the key that the database has already`);
    }
    return present;
  }
  const key = randomBytes(secretKeySize);
  await writeKey(path, key);
  await giveToOwnerOf(old, path);
  return key;
}

/** One transaction. */
function sealAnew(
  database: Database,
  from: SecretBox,
  to: SecretBox,
  former: readonly string[],
  options: RekeyOptions,
): SecretsFound {
  const { forgetDamaged, reached = () => undefined } = options;
  let secrets = 0;
  const damaged: string[] = [];
  return database.transaction(() => {
    visitSecrets(database, ({ table, id: idColumn, column, place }, id, sealed) => {
      secrets += 1;
      database.run(`UPDATE ${table} SET ${column} = ? WHERE ${idColumn} = ?`, resealed(sealed, place(id)), id);
      if (secrets === 1) reached("secrets half sealed");
    });
    if (damaged.length > 0 && !forgetDamaged) throw damagedSecrets(database.path, damaged);
    writeKeyCheck(database, to);
    requestPurge(database);
    const forgotten = damaged.length === 0 ? "" : `, ${damaged.length} damaged ones emptied`;
    // Before the commit: whenever this is interrupted, none is left that the old key opens once that is no longer the key.
    for (const path of former) deleteFormerDatabase(path);
    const deleted = former.length === 0 ? "" : `, deleted ${former.map((path) => basename(path)).join(" and ")}`;
    appendAudit(database, doneHere("Rekey", `${secrets} secrets sealed anew${forgotten}${deleted}`));
    reached("secrets sealed");
    return { secrets, damaged };
  });

  /** Nothing for a secret that does not open: whoever has the old key could read most of it. */
  function resealed(sealed: Uint8Array, place: string): Uint8Array {
    try {
      return to.seal(from.open(sealed, place), place);
    } catch (error) {
      if (!(error instanceof SealBrokenError)) throw error;
      damaged.push(place);
      return new Uint8Array();
    }
  }
}

/** What `restore` has put aside, or has left when it was interrupted. */
function formerDatabases(database: string): string[] {
  const directory = dirname(database);
  const names = [".before-", ".restoring"].map((end) => `${basename(database)}${end}`);
  return readdirSync(directory)
    .filter((file) => names.some((name) => file.startsWith(name)))
    .map((file) => join(directory, file));
}

function deleteFormerDatabase(path: string): void {
  try {
    rmSync(path);
  } catch (error) {
    const text = `${path} cannot be deleted: ${systemReason(error)}. The key was not changed`;
    throw new ConfigError("--delete-former", text, { cause: error });
  }
}

function formerThere(paths: readonly string[]): ConfigError {
  const text = `the old key opens what a restore has left: ${paths.join(", ")}. Nothing was changed`;
  return new ConfigError("--data", `${text}. Move it to where your backups are, or delete it by --delete-former`);
}

function purge(database: Database): void {
  try {
    finishPurge(database);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const text =
      "The key was changed and the database opens with the new one only, but what the old one has sealed is not yet gone " +
      `from the free parts of the file: the next start of the service removes it. ${error.message}`;
    throw new StoreError(error.problem, text, { cause: error });
  }
}

function damagedSecrets(path: string, places: readonly string[]): StoreError {
  return new StoreError(
    "damaged secret",
    `database ${path}: ${places.length} secrets are damaged and cannot be sealed anew (${places.slice(0, 5).join(", ")}` +
      `${places.length > 5 ? ", ..." : ""}). Nothing was changed. Restore a backup, or empty them for good by --forget-damaged`,
  );
}
