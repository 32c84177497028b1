import { Secret } from "../../ipmi/secret.ts";
import type { Database } from "./database.ts";
import type { DatabaseRole } from "./database-role.ts";
import { SealBrokenError, SecretBox } from "./secret-box.ts";
import { StoreError } from "./store-error.ts";

const name = "key check";
const place = `setting:${name}`;

/** Stores a known text under the key: the key that opens it opens the secrets. */
export function writeKeyCheck(database: Database, box: SecretBox): void {
  const sealed = box.seal(Secret.fromBytes(Buffer.from(name)), place);
  database.run(
    "INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
    name,
    sealed,
  );
}

/** Whether the key belongs to the database; undefined for one that was never opened with any. */
export function keyFits(database: Database, key: Uint8Array): boolean | undefined {
  const made = database.get("SELECT 1 FROM sqlite_schema WHERE name = 'settings'");
  const stored = made && database.get("SELECT value FROM settings WHERE name = ?", name)?.value;
  if (stored === undefined) return undefined;
  try {
    new SecretBox(key).open(stored instanceof Uint8Array ? stored : new Uint8Array(), place);
    return true;
  } catch (error) {
    if (!(error instanceof SealBrokenError)) throw error;
    return false;
  }
}

/**
 * Binds a new database to the key.
 * @throws StoreError "wrong key" if another one belongs to it
 */
export function requireKey(database: Database, key: Uint8Array): void {
  database.transaction(() => {
    const fits = keyFits(database, key);
    if (fits === undefined) writeKeyCheck(database, new SecretBox(key));
    else if (!fits) throw wrongKey(database.role);
  });
}

export function wrongKey({ content, ifOtherKey }: DatabaseRole): StoreError {
  return new StoreError(
    "wrong key",
    `${content}: its secrets are sealed with another key than the one given. ${ifOtherKey}`,
  );
}
