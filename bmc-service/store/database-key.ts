import { rename } from "node:fs/promises";
import { dirname } from "node:path";
import { ConfigError, systemReason } from "../config-error.ts";
import { databaseIsThere } from "./data-directory.ts";
import { Database } from "./database.ts";
import { requireNoHalfRestore } from "./half-restore.ts";
import { keyFits } from "./key-check.ts";
import { createKey, destroyKey, type KeySource, keyIsThere, missing, readKey } from "./key-file.ts";
import { requireKnownSchema } from "./migrate.ts";
import { migrations } from "./migrations/index.ts";
import { syncToDisk } from "./sync-to-disk.ts";

/** Where a key waits while the secrets are sealed with it. Whole whenever it is there. */
export const nextKeyPath = (path: string) => `${path}.new`;
/** Where the former key waits for its end. */
const formerKeyPath = (path: string) => `${path}.old`;

/**
 * The key of a database; made if both are new. Ends a change of key that was interrupted: of the keys that it has left,
 * the one that fits stays. Call it under the StoreLock.
 * @param database path of the database
 * @throws ConfigError if the key is missing although the database is there, malformed, or readable by others; StoreError if
 *   the database cannot be read
 */
export async function databaseKey(source: KeySource, database: string): Promise<Uint8Array> {
  const { path, guardedBySystemd } = source;
  if (!(await databaseIsThere(database))) {
    requireNoHalfRestore(database);
    return (await readKey(source)) ?? createKey(path);
  }
  const keys = await knownKeys(source);
  const [first] = keys;
  if (first === undefined) return missing(source);
  const isSettled = keys.length === 1 && first.path === path && !(await keyIsThere(formerKeyPath(path)));
  // A key that does not fit is refused where the database is opened.
  if (isSettled) return first.key;
  const fitting = fittingKey(database, keys) ?? first;
  if (!guardedBySystemd) await settle(path, fitting.path);
  return fitting.key;
}

export interface KnownKey {
  readonly path: string;
  readonly key: Uint8Array;
}

/**
 * The key, and the one that it is being changed for, as far as they are there. systemd's credentials have both when
 * bmc-service.key.new is loaded too.
 * @throws ConfigError as readKey
 */
export async function knownKeys(source: KeySource): Promise<KnownKey[]> {
  const found: KnownKey[] = [];
  for (const path of [source.path, nextKeyPath(source.path)]) {
    const key = await readKey({ ...source, path });
    if (key !== undefined) found.push({ path, key });
  }
  return found;
}

/**
 * The keys alone.
 * @throws ConfigError as readKey, and if there is none
 */
export async function requireKeys(source: KeySource): Promise<Uint8Array[]> {
  const keys = await knownKeys(source);
  return keys.length === 0 ? missing(source) : keys.map(({ key }) => key);
}

/** Undefined if none fits, or the database was never opened with any. */
function fittingKey(path: string, keys: readonly KnownKey[]): KnownKey | undefined {
  using database = new Database(path);
  requireKnownSchema(database, migrations);
  return keys.find(({ key }) => keyFits(database, key) === true);
}

/**
 * Makes the key that fits the only one. After every single step of it `databaseKey` finds that key again.
 * @throws ConfigError
 */
export async function settle(path: string, fitting: string): Promise<void> {
  const former = formerKeyPath(path);
  try {
    if (fitting === path) {
      await destroyKey(nextKeyPath(path));
    } else {
      await destroyKey(former);
      if (await keyIsThere(path)) await rename(path, former);
      await rename(fitting, path);
      await syncToDisk(dirname(path));
    }
    await destroyKey(former);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const problem = `a change of ${path} was interrupted and cannot be ended: ${systemReason(error)}`;
    throw new ConfigError("--key", problem, { cause: error });
  }
}
