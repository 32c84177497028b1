import { Database } from "./database.ts";
import { keyFits, wrongKey } from "./key-check.ts";
import { requireKnownSchema, schemaVersion } from "./migrate.ts";
import { migrations } from "./migrations/index.ts";
import { checkSecrets, type SecretsFound } from "./sealed-columns.ts";
import { SecretBox } from "./secret-box.ts";
import { StoreError } from "./store-error.ts";

export interface CopyFound extends SecretsFound {
  readonly schema: number;
}

/**
 * Looks at every page and every secret of a copy of the database, and makes it one file that needs no other.
 * @param keys one of them has to fit
 * @throws StoreError "corrupt", "newer schema" or "wrong key"
 */
export function verifyCopy(path: string, keys: readonly Uint8Array[]): CopyFound {
  using database = new Database(path);
  requireKnownSchema(database, migrations);
  const schema = schemaVersion(database);
  if (schema === 0) throw new StoreError("corrupt", `database ${path}: it is empty`);
  database.execute("PRAGMA journal_mode = DELETE");
  const problems = database
    .all("PRAGMA integrity_check")
    .map(({ integrity_check }) => String(integrity_check))
    .filter((text) => text !== "ok");
  if (database.all("PRAGMA foreign_key_check").length > 0) problems.push("rows refer to rows that are not there");
  if (problems.length > 0) {
    throw new StoreError("corrupt", `database ${path}: it is damaged: ${problems.slice(0, 3).join("; ")}`);
  }
  const key = keys.find((each) => keyFits(database, each) === true);
  if (key === undefined) throw wrongKey(path);
  return { schema, ...checkSecrets(database, new SecretBox(key)) };
}
