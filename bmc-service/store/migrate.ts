import type { Database } from "./database.ts";
import type { Migration } from "./migrations/index.ts";
import { StoreError } from "./store-error.ts";

/** Version of the schema in the file; 0 for a new one. SQLite's user_version. */
export function schemaVersion(database: Database): number {
  return Number(database.get("PRAGMA user_version")?.user_version ?? 0);
}

/**
 * Looks whether the file is one that this release can work with. Changes nothing.
 * @throws StoreError "newer schema" if a newer release has used the file, "corrupt" if it is another program's
 */
export function requireKnownSchema(database: Database, migrations: readonly Migration[]): void {
  const { role } = database;
  const known = migrations.at(-1)?.version ?? 0;
  const found = schemaVersion(database);
  if (found > known) {
    throw new StoreError(
      "newer schema",
      `${role.content}: it has schema ${found}, this release knows up to schema ${known}. ${role.ifNewer}`,
    );
  }
  const tables = found > 0 ? 0 : Number(database.get("SELECT count(*) AS number FROM sqlite_schema")?.number);
  if (found < 0 || tables > 0) {
    throw new StoreError("corrupt", `${role.content}: it belongs to another program. ${role.ifForeign}`);
  }
}

/**
 * Brings the schema up to date. Each step with its number is one transaction: when it is interrupted, the file is
 * as before that step and the next start takes it again.
 * @returns the versions that were taken now
 * @throws StoreError as requireKnownSchema; nothing was changed then
 */
export function migrate(database: Database, migrations: readonly Migration[]): number[] {
  requireKnownSchema(database, migrations);
  const found = schemaVersion(database);
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
