import { afterEach, beforeEach, expect, test } from "vitest";
import { Database } from "../store/database.ts";
import { migrate } from "../store/migrate.ts";
import { migrations } from "../store/migrations/index.ts";
import { type AuditQuery, appendAudit, readAudit } from "./audit-log.ts";
import { doneHere } from "./done-here.ts";

let database: Database;
let statements: number;

beforeEach(() => {
  database = new Database(":memory:");
  migrate(database, migrations);
});
afterEach(() => database[Symbol.dispose]());

function write(count: number): void {
  database.transaction(() => {
    for (let i = 1; i <= count; i += 1) {
      appendAudit(database, { ...doneHere(`action ${i}`, "detail"), subject: i % 10 === 0 ? "tenth" : "other" });
    }
  });
}

/** Counts what is asked of the database meanwhile. */
function page(query: Partial<AuditQuery> = {}) {
  const { get, all } = database;
  statements = 0;
  database.get = (...asked) => {
    statements += 1;
    return get.apply(database, asked);
  };
  database.all = (...asked) => {
    statements += 1;
    return all.apply(database, asked);
  };
  try {
    const { entries, intact } = readAudit(database, { limit: 10, subjects: undefined, before: undefined, ...query });
    return { numbers: entries.map(({ number }) => number), intact };
  } finally {
    Object.assign(database, { get, all });
  }
}

const down = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, i) => from - i);

test("a page is read and verified without a look at the rest of the log", () => {
  write(1_000);
  expect(page()).toEqual({ numbers: down(1_000, 991), intact: true });
  expect(statements).toBe(3);
  expect(page({ before: 11 })).toEqual({ numbers: down(10, 1), intact: true });
  expect(page({ before: 1 })).toEqual({ numbers: [], intact: true });
  expect(page({ before: 5_000, limit: 2 })).toEqual({ numbers: [1_000, 999], intact: true });
  expect(page({ subjects: ["tenth"], limit: 3 })).toEqual({ numbers: [1_000, 990, 980], intact: true });
});

test("an empty log holds", () => {
  expect(page()).toEqual({ numbers: [], intact: true });
});

test.each([
  ["changed", "UPDATE audit SET detail = 'x' WHERE number = 20", [21]],
  ["taken out", "DELETE FROM audit WHERE number = 20", [22, 21]],
  ["exchanged, with its hash", "UPDATE audit SET detail = 'x', hash = x'00' WHERE number = 20", [22, 21]],
])("an entry that was %s makes a page that has it, or begins behind it, not hold", (_what, sql, noticedBelow) => {
  write(30);
  database.execute(`DROP TRIGGER audit_entries_stay; DROP TRIGGER audit_entries_remain; ${sql}`);
  const wrong = down(31, 2).filter((before) => !page({ before, limit: 1 }).intact);
  expect(wrong).toEqual(noticedBelow);
  expect(page({ limit: 30 }).intact).toBe(false);
  expect(page({ before: 20 }).intact).toBe(true);
});

test("a log that was cut off says so at each page", () => {
  write(30);
  database.execute("DROP TRIGGER audit_entries_remain; DELETE FROM audit WHERE number > 25");
  expect(page({ before: 10 }).intact).toBe(false);
  expect(page({ subjects: ["tenth"] }).intact).toBe(false);
});
