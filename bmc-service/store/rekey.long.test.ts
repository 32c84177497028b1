import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  damageNewest,
  filesHolding,
  makeDatabase,
  sealedPasswords,
  storedPasswords,
} from "../fixture/stored-accounts.ts";
import { databaseKey } from "./database-key.ts";
import { createKey } from "./key-file.ts";
import { type RekeyOptions, rekey, rekeySteps } from "./rekey.ts";
import { sealedColumns } from "./sealed-columns.ts";
import { SqliteStore } from "./sqlite-store.ts";
import { StoreError } from "./store-error.ts";

const passwords = ["Qz7-first-Pw9@kX", "Qz7-other-Pw9@kX", "Qz7-third-Pw9@kX"];
let directory: string;
let database: string;
let source: { path: string; guardedBySystemd: boolean };
let oldKey: Uint8Array;
let oldSeals: Buffer[];

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "rekey-"));
  mkdirSync(join(directory, "data"));
  database = join(directory, "data", "bmc-service.db");
  source = { path: join(directory, "pki", "secret.key"), guardedBySystemd: false };
  oldKey = await createKey(source.path);
  await makeDatabase(database, oldKey, passwords);
  oldSeals = sealedPasswords(database);
});

afterEach(() => rmSync(directory, { recursive: true }));

const change = (more: Partial<RekeyOptions> = {}) =>
  rekey({ database, source, newKey: undefined, forgetDamaged: false, deleteFormer: false, ...more });
const keyFiles = () => readdirSync(join(directory, "pki"));
const keyText = (key: Uint8Array) => Buffer.from(key).toString("base64");

test("every secret opens with the new key, and what the old one has sealed is in no file", async () => {
  expect(filesHolding(directory, oldSeals)).not.toEqual([]);
  expect(await change()).toEqual({ secrets: 3, damaged: [] });
  const key = await databaseKey(source, database);
  expect(key).not.toEqual(oldKey);
  expect(statSync(source.path).mode & 0o777).toBe(0o600);
  expect(keyFiles()).toEqual(["secret.key"]);
  expect(filesHolding(directory, [...oldSeals, ...passwords, keyText(oldKey)])).toEqual([]);
  expect(await storedPasswords(database, key)).toEqual(passwords);
  await using store = new SqliteStore(database, key);
  const { entries, intact } = await store.audit({ limit: 10, subjects: undefined, before: undefined });
  expect(entries).toMatchObject([{ actor: "bmc-service", action: "Rekey", from: "" }]);
  expect(entries[0]?.detail).toMatch(/^3 secrets sealed anew; by \S+ on the machine \S+$/);
  expect(intact).toBe(true);
  await expect(storedPasswords(database, oldKey)).rejects.toMatchObject({ problem: "wrong key" });
});

describe("killed in the moment", () => {
  test.each(rekeySteps.map((step) => ({ step })))(
    "$step, the next start finds the key and ends it",
    async ({ step }) => {
      const program = join(import.meta.dirname, "..", "fixture", "interrupted.ts");
      const child = spawn(process.execPath, [program, "rekey", database, source.path, step], { stdio: "inherit" });
      expect(await once(child, "exit")).toEqual([null, "SIGKILL"]);
      const key = await databaseKey(source, database);
      expect(await storedPasswords(database, key)).toEqual(passwords);
      expect(keyFiles()).toEqual(["secret.key"]);
      const isNew = rekeySteps.indexOf(step) >= rekeySteps.indexOf("committed");
      expect(Buffer.from(key).equals(oldKey)).toBe(!isNew);
      if (isNew) expect(filesHolding(directory, [...oldSeals, keyText(oldKey)])).toEqual([]);
      // And again, from where it was left.
      await change();
      expect(await storedPasswords(database, await databaseKey(source, database))).toEqual(passwords);
    },
  );

  test("the old key was put aside, or the new one took its place, the next start ends it", async () => {
    const before = readFileSync(source.path);
    await change();
    const key = await databaseKey(source, database);
    writeFileSync(`${source.path}.old`, before);
    expect(await databaseKey(source, database)).toEqual(key);
    expect(keyFiles()).toEqual(["secret.key"]);
    renameSync(source.path, `${source.path}.new`);
    writeFileSync(`${source.path}.old`, before, { mode: 0o600 });
    expect(await databaseKey(source, database)).toEqual(key);
    expect(keyFiles()).toEqual(["secret.key"]);
  });
});

test.runIf(process.geteuid?.() === 0)(
  "root leaves the key to its owner (as another user there is nothing to do)",
  async () => {
    chownSync(source.path, 1_234, 1_234);
    await change();
    expect(statSync(source.path)).toMatchObject({ uid: 1_234, gid: 1_234 });
  },
);

test("a secret that is damaged is a reason to refuse, unless it may be forgotten", async () => {
  const id = damageNewest(database);
  const before = readFileSync(source.path);
  const refused = change();
  await expect(refused).rejects.toBeInstanceOf(StoreError);
  await expect(refused).rejects.toThrow(`(account:${id})`);
  expect(readFileSync(source.path)).toEqual(before);
  expect(keyFiles()).toEqual(["secret.key"]);
  expect(sealedPasswords(database).slice(0, 2)).toEqual(oldSeals.slice(0, 2));
  expect(await change({ forgetDamaged: true })).toEqual({ secrets: 3, damaged: [`account:${id}`] });
  const sealed = sealedPasswords(database);
  expect(sealed.map(({ length }) => length > 0)).toEqual([true, true, false]);
  await expect(storedPasswords(database, await databaseKey(source, database))).rejects.toThrow(`account ${id}`);
});

describe("a former database that a restore has put aside", () => {
  const former = () => `${database}.before-2026-01-02T03-04-05-678Z`;
  beforeEach(() => {
    copyFileSync(database, former());
    writeFileSync(`${former()}-wal`, "x");
  });

  test("is a reason to refuse, because the old key opens it, and is named", async () => {
    const before = readFileSync(source.path);
    await expect(change()).rejects.toThrow(`${former()}, ${former()}-wal. Nothing was changed`);
    expect(readFileSync(source.path)).toEqual(before);
    expect(sealedPasswords(former())).toEqual(oldSeals);
  });

  test("that cannot be deleted keeps the old key the key", async () => {
    mkdirSync(`${database}.before-directory`);
    await expect(change({ deleteFormer: true })).rejects.toThrow("The key was not changed");
    expect(await storedPasswords(database, await databaseKey(source, database))).toEqual(passwords);
    expect(await databaseKey(source, database)).toEqual(oldKey);
  });

  test("is deleted if that is asked for, and the audit log says so", async () => {
    await change({ deleteFormer: true });
    const key = await databaseKey(source, database);
    expect(filesHolding(directory, [...oldSeals, keyText(oldKey)])).toEqual([]);
    await using store = new SqliteStore(database, key);
    const { entries } = await store.audit({ limit: 1, subjects: undefined, before: undefined });
    expect(entries[0]?.detail).toContain("deleted bmc-service.db.before-2026-01-02T03-04-05-678Z and ");
  });
});

describe("a new key in a file of its own", () => {
  test("is made or taken, and the old file stays", async () => {
    const newKey = join(directory, "new.key");
    const before = readFileSync(source.path);
    await change({ newKey });
    expect(readFileSync(source.path)).toEqual(before);
    const other = { path: newKey, guardedBySystemd: false };
    const key = await databaseKey(other, database);
    expect(await storedPasswords(database, key)).toEqual(passwords);
    await expect(rekey({ database, source: other, newKey, forgetDamaged: false, deleteFormer: false })).rejects.toThrow(
      "has already",
    );
  });

  test("is needed where systemd keeps the old one; with both loaded the one that fits is taken", async () => {
    const credentials = join(directory, "credentials");
    mkdirSync(credentials);
    const loaded = { path: join(credentials, "bmc-service.key"), guardedBySystemd: true };
    writeFileSync(loaded.path, readFileSync(source.path));
    await expect(change({ source: loaded })).rejects.toThrow("--new-key-file");
    await change({ newKey: join(directory, "new.key") });
    writeFileSync(join(credentials, "bmc-service.key.new"), readFileSync(join(directory, "new.key")));
    expect(await storedPasswords(database, await databaseKey(loaded, database))).toEqual(passwords);
    expect(readdirSync(credentials)).toHaveLength(2);
  });
});

test("a reader that is in the way is named, the key is changed, and the next start removes the rest", async () => {
  // Keeps the files from being cleaned up by the reader's own end.
  using idle = new DatabaseSync(database);
  idle.exec("SELECT count(*) FROM accounts");
  const reader = new DatabaseSync(database);
  reader.exec("BEGIN; SELECT count(*) FROM accounts");
  await expect(change({ lockTimeoutMs: 20 })).rejects.toThrow("The key was changed");
  reader.close();
  expect(filesHolding(directory, oldSeals)).not.toEqual([]);
  const key = await databaseKey(source, database);
  expect(await storedPasswords(database, key)).toEqual(passwords);
  expect(filesHolding(directory, oldSeals)).toEqual([]);
});

test("every column that is named as sealed is listed", () => {
  using connection = new DatabaseSync(database);
  const columns = connection
    .prepare(
      `SELECT t.name AS "table", c.name AS "column" FROM sqlite_schema t, pragma_table_info(t.name) c
       WHERE t.type = 'table' AND c.name LIKE 'sealed%'`,
    )
    .all()
    .map((row) => ({ ...row }));
  expect(sealedColumns.map(({ table, column }) => ({ table, column }))).toEqual(columns);
});

test("a database without its key, with another key or with half a restore is refused", async () => {
  const key = readFileSync(source.path);
  rmSync(source.path);
  await expect(databaseKey(source, database)).rejects.toThrow(`--key: ${source.path} is missing`);
  expect(keyFiles()).toEqual([]);
  await createKey(source.path);
  await createKey(`${source.path}.new`);
  await expect(storedPasswords(database, await databaseKey(source, database))).rejects.toThrow("another key");
  writeFileSync(source.path, key);
  renameSync(database, `${database}.restoring`);
  await expect(databaseKey(source, database)).rejects.toThrow("a restore was interrupted");
  rmSync(`${database}.restoring`);
  expect(await databaseKey(source, database)).toHaveLength(32);
});
