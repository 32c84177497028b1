import { existsSync } from "node:fs";
import { ConfigError } from "../config-error.ts";

/** Where a backup is copied to and looked at before it takes the place of the database. */
export const restoringPath = (database: string) => `${database}.restoring`;

/**
 * Where a restore was interrupted between taking the old database away and putting the backup in its place, a start must not
 * begin with an empty one.
 * @throws ConfigError
 */
export function requireNoHalfRestore(database: string): void {
  const left = restoringPath(database);
  if (!existsSync(left)) return;
  throw new ConfigError("--data", `${left} is there, and no database: a restore was interrupted. Run it again`);
}
