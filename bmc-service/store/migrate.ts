import type { Database } from "./database.ts";
import type { Migration } from "./migrations/index.ts";
import { StoreError } from "./store-error.ts";

/** Version of the schema in the file; 0 for a new one. SQLite's user_version. */
export function schemaVersion(database: Database): number {
  return Number(database.get("PRAGMA user_version")?.user_version ?? 0);
}

/**
 * Brings the schema up to date. Each step with its number is one transaction: when it is interrupted, the file is
 * as before that step and the next start takes it again.
 * @returns the versions that were taken now
 * @throws StoreError "newer schema" if a newer release has used the file; nothing was changed then
 */
export function migrate(database: Database, migrations: readonly Migration[]): number[] {
  const known = migrations.at(-1)?.version ?? 0;
  const found = schemaVersion(database);
  if (found > known) {
    throw new StoreError(
      "newer schema",
      `database ${database.path}: it has schema ${found}, this release knows up to schema ${known}. ` +
        "Nothing was changed. Run the newer release, or bring back the backup from before it",
    );
  }
  const taken: number[] = [];
  for (const migration of migrations.filter(({ version }) => version > found)) {
    database.transaction(() => {
      // Another process may have come first between the look above and the lock.
      if (schemaVersion(database) >= migration.version) return;
      database.execute(migration.sql);
      database.execute(`PRAGMA user_version = ${migration.version}`);
      taken.push(migration.version);
    });
  }
  return taken;
}
