import type { Database } from "./database.ts";
import { accountPlace } from "./rows.ts";
import { SealBrokenError, type SecretBox } from "./secret-box.ts";

/** A column with sealed secrets. A change of key goes over all of them: list each new one here. */
export interface SealedColumn {
  readonly table: string;
  /** The column that tells the rows apart. */
  readonly id: string;
  /** By its name, `sealed_...`, a test finds those that are not listed. Null: no secret. */
  readonly column: string;
  /** What a secret is sealed for; see SecretBox. */
  readonly place: (id: string) => string;
}

export const sealedColumns: readonly SealedColumn[] = [
  { table: "accounts", id: "id", column: "sealed_password", place: accountPlace },
];

/** How many secrets a database has, and the places of those that do not open. */
export interface SecretsFound {
  readonly secrets: number;
  readonly damaged: readonly string[];
}

/** Calls `visit` with every sealed secret, its column and the id of its row. */
export function visitSecrets(
  database: Database,
  visit: (column: SealedColumn, id: string, sealed: Uint8Array) => void,
): void {
  const tables = new Set(database.all("SELECT name FROM sqlite_schema WHERE type = 'table'").map(({ name }) => name));
  // A backup may be older than a table.
  for (const each of sealedColumns.filter(({ table }) => tables.has(table))) {
    const { table, id, column } = each;
    const rows = database.all(`SELECT ${id} AS id, ${column} AS sealed FROM ${table} WHERE ${column} IS NOT NULL`);
    for (const row of rows)
      visit(each, String(row.id), row.sealed instanceof Uint8Array ? row.sealed : new Uint8Array());
  }
}

/** Opens every secret once. */
export function checkSecrets(database: Database, box: SecretBox): SecretsFound {
  let secrets = 0;
  const damaged: string[] = [];
  visitSecrets(database, ({ place }, id, sealed) => {
    secrets += 1;
    try {
      box.open(sealed, place(id));
    } catch (error) {
      if (!(error instanceof SealBrokenError)) throw error;
      damaged.push(place(id));
    }
  });
  return { secrets, damaged };
}
