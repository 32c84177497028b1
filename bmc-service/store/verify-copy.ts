import { auditHolds } from "../audit/audit-log.ts";
import { Database } from "./database.ts";
import type { DatabaseRole } from "./database-role.ts";
import { keyFits, wrongKey } from "./key-check.ts";
import { requireKnownSchema, schemaVersion } from "./migrate.ts";
import { migrations } from "./migrations/index.ts";
import { checkSecrets, type SecretsFound } from "./sealed-columns.ts";
import { SecretBox } from "./secret-box.ts";
import { StoreError } from "./store-error.ts";

export interface CopyFound extends SecretsFound {
  readonly schema: number;
  /** Whether every entry of the audit log follows from the one before it. */
  readonly auditHolds: boolean;
}

export interface VerifiedCopy extends CopyFound {
  /** The one that fits. */
  readonly key: Uint8Array;
}

/**
 * Looks at every page and every secret of a copy of the database, and makes it one file that needs no other.
 * @param keys one of them has to fit
 * @param role for errors
 * @throws StoreError "corrupt", "newer schema" or "wrong key"
 */
export function verifyCopy(path: string, keys: readonly Uint8Array[], role: DatabaseRole): VerifiedCopy {
  using database = new Database(path, undefined, role);
  requireKnownSchema(database, migrations);
  const schema = schemaVersion(database);
  if (schema === 0) throw new StoreError("corrupt", `${role.content}: it is empty; ${role.ifDamaged}`);
  database.execute("PRAGMA journal_mode = DELETE");
  const problems = database
    .all("PRAGMA integrity_check")
    .map(({ integrity_check }) => String(integrity_check))
    .filter((text) => text !== "ok");
  if (database.all("PRAGMA foreign_key_check").length > 0) problems.push("rows refer to rows that are not there");
  if (problems.length > 0) {
    const shown = problems.slice(0, 3).join("; ");
    throw new StoreError("corrupt", `${role.content}: it is damaged: ${shown}; ${role.ifDamaged}`);
  }
  const key = keys.find((each) => keyFits(database, each) === true);
  if (key === undefined) throw wrongKey(role);
  return { schema, key, auditHolds: auditHolds(database), ...checkSecrets(database, new SecretBox(key)) };
}
