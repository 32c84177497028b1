import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Database } from "./database.ts";
import { GroupCommit } from "./group-commit.ts";

let directory: string;
let database: Database;
let other: Database;
let group: GroupCommit;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "group-commit-"));
  database = new Database(join(directory, "test.db"));
  database.useWriteAheadLog();
  database.execute("CREATE TABLE texts (text TEXT NOT NULL) STRICT");
  other = new Database(join(directory, "test.db"));
  group = new GroupCommit(database);
});

afterEach(() => {
  other[Symbol.dispose]();
  database[Symbol.dispose]();
  rmSync(directory, { recursive: true });
});

const add = (text: string) => database.run("INSERT INTO texts VALUES (?)", text);
const stored = () => other.all("SELECT text FROM texts ORDER BY rowid").map(({ text }) => text);

test("writes of one turn wait for the disk once, and nobody else sees them before", async () => {
  const commit = vi.spyOn(database, "commit");
  const both = Promise.all([group.run(() => add("a")), group.run(() => add("b"))]);
  expect(stored()).toEqual([]);
  expect(await both).toEqual([1, 1]);
  expect(stored()).toEqual(["a", "b"]);
  expect(commit).toHaveBeenCalledTimes(1);
  await group.run(() => add("c"));
  expect(commit).toHaveBeenCalledTimes(2);
});

test("a write that fails takes nothing of the others along", async () => {
  const fails = group.run(() => {
    add("half");
    throw new RangeError("no");
  });
  const [before, failed, after] = await Promise.allSettled([
    group.run(() => add("a")),
    fails,
    group.run(() => add("b")),
  ]);
  expect([before.status, after.status]).toEqual(["fulfilled", "fulfilled"]);
  expect(failed).toMatchObject({ status: "rejected", reason: expect.any(RangeError) });
  expect(stored()).toEqual(["a", "b"]);
});

test("what the disk does not take is acknowledged to nobody, refusals included, and all goes on", async () => {
  vi.spyOn(database, "commit").mockImplementationOnce(() => {
    database.execute("ROLLBACK");
    throw new Error("the disk is full");
  });
  const refuses = group.run(() => {
    throw new RangeError("it is taken");
  });
  const ended = await Promise.allSettled([group.run(() => add("a")), refuses]);
  for (const each of ended) expect(each).toMatchObject({ reason: { message: "the disk is full" } });
  expect(stored()).toEqual([]);
  await group.run(() => add("b"));
  expect(stored()).toEqual(["b"]);
});

test("where SQLite takes back the whole group for one of it, all hear of it", async () => {
  const first = group.run(() => add("a"));
  const second = group.run(() => {
    database.execute("ROLLBACK");
    throw new Error("the disk is full");
  });
  const third = group.run(() => add("c"));
  const ended = await Promise.allSettled([first, second, third]);
  expect(ended.map(({ status }) => status)).toEqual(["rejected", "rejected", "fulfilled"]);
  expect(stored()).toEqual(["c"]);
});

test("what is open can be put on the disk at once", async () => {
  const written = group.run(() => add("a"));
  group.flush();
  expect(stored()).toEqual(["a"]);
  expect(await written).toBe(1);
});
