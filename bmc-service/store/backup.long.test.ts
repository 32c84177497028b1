import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { damageNewest, filesHolding, makeDatabase, storedPasswords } from "../fixture/stored-accounts.ts";
import { type BackupOptions, backUp } from "./backup.ts";
import { sealBackup, takeOffSeal } from "./backup-seal.ts";
import { Database } from "./database.ts";
import { databaseKey } from "./database-key.ts";
import { createKey } from "./key-file.ts";
import { type RestoreOptions, restore } from "./restore.ts";
import { SqliteStore } from "./sqlite-store.ts";
import { StoreError } from "./store-error.ts";

const passwords = ["Qz7-first-Pw9@kX", "Qz7-other-Pw9@kX"];
let directory: string;
let database: string;
let keyFile: string;
let key: Uint8Array;
let file: string;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "backup-"));
  mkdirSync(join(directory, "data"));
  mkdirSync(join(directory, "backup"));
  database = join(directory, "data", "bmc-service.db");
  file = join(directory, "backup", "monday.db");
  keyFile = join(directory, "pki", "secret.key");
  key = await createKey(keyFile);
  await makeDatabase(database, key, passwords);
});

afterEach(() => rmSync(directory, { recursive: true }));

const own = () => ({ database, key: keyFile, pki: join(directory, "pki") });
const backup = (more: Partial<BackupOptions> = {}) =>
  backUp({ own: own(), file, keys: [key], force: false, progress: () => undefined, ...more });
const restored = (more: Partial<RestoreOptions> = {}) =>
  restore({
    database,
    file,
    keys: [key],
    force: false,
    acceptDoubtful: false,
    now: new Date("2026-01-02T03:04:05.678Z"),
    ...more,
  });
const audited = async (path: string) => {
  await using store = new SqliteStore(path, key);
  const { entries, intact } = await store.audit({ limit: 100, subjects: undefined, before: undefined });
  expect(intact).toBe(true);
  return entries;
};
const written = () => readdirSync(join(directory, "backup"));
const data = () => readdirSync(join(directory, "data")).filter((name) => !/-(wal|shm)$/.test(name));

const edit = (path: string, sql: string) => {
  using connection = new DatabaseSync(path);
  connection.exec(sql);
};
/** As somebody does who has the key. */
const spoilAndSeal = async (sql: string) => {
  await takeOffSeal(file, [key]);
  edit(file, sql);
  await sealBackup(file, key);
};
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

/** A process that writes to the history all the time, and how many entries it has committed. */
function startWriter() {
  const program = `
    const database = new (require("node:sqlite").DatabaseSync)(process.argv[1], { timeout: 5000 });
    const insert = database.prepare(
      "INSERT INTO history (at, mac, machine_uuid, actor, action, detail) VALUES (1, 'm', 'u', 'a', 'b', hex(randomblob(2000)))");
    for (let i = 1; ; i += 1) { insert.run(); require("node:fs").writeSync(1, i + "\\n"); }`;
  const child = spawn(process.execPath, ["-e", program, database], { stdio: ["ignore", "pipe", "inherit"] });
  let committed = 0;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    committed = Number(text.trimEnd().split("\n").at(-1));
  });
  const end = async () => {
    child.kill("SIGKILL");
    await once(child, "exit");
  };
  return { committed: () => committed, end };
}

describe("a backup", () => {
  test("taken while others write holds all that was committed before, and becomes a database again", async () => {
    const writer = startWriter();
    await expect.poll(writer.committed, { timeout: 8_000 }).toBeGreaterThan(200);
    const before = writer.committed();
    const shares: number[] = [];
    const made = await backup({ progress: (share) => shares.push(share) });
    await writer.end();
    expect(made).toMatchObject({ secrets: 2, damaged: [], bytes: statSync(file).size });
    expect(shares.length).toBeGreaterThan(0);
    rmSync(join(directory, "data"), { recursive: true });
    mkdirSync(join(directory, "data"));
    expect(await restored()).toMatchObject({ secrets: 2, damaged: [], aside: undefined });
    expect(await storedPasswords(database, key)).toEqual(passwords);
    using connection = new DatabaseSync(database);
    const found = Number(connection.prepare("SELECT count(*) AS number FROM history").get()?.number);
    expect(found).toBeGreaterThanOrEqual(before);
  });

  test("is one file for its owner alone, and holds neither a password nor the key", async () => {
    await backup();
    expect(written()).toEqual(["monday.db"]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const keys = [Buffer.from(key), Buffer.from(key).toString("base64")];
    expect(filesHolding(join(directory, "backup"), [...passwords, ...keys])).toEqual([]);
    expect(filesHolding(join(directory, "data"), [...passwords, ...keys])).toEqual([]);
  });

  test("is in the audit log before and after it is made, also where the disk takes nothing more", async () => {
    expect(await backup()).toMatchObject({ notAudited: undefined });
    expect(await audited(database)).toMatchObject([
      {
        action: "Backup",
        result: "OK",
        actor: "bmc-service",
        detail: expect.stringMatching(/^to \S+; by \S+ on the machine \S+$/),
      },
      { action: "Backup", result: "BEGUN" },
    ]);
    using full = new Database(database);
    full.execute("CREATE TRIGGER a BEFORE INSERT ON audit BEGIN SELECT RAISE(FAIL, 'full'); END");
    expect(await backup({ force: true })).toMatchObject({ notAudited: expect.stringContaining("full") });
    expect(await storedPasswords(file, key)).toEqual(passwords);
  });

  test("replaces a backup only when that is asked for", async () => {
    await backup();
    const before = readFileSync(file);
    await expect(backup()).rejects.toThrow("is there already");
    expect(readFileSync(file).equals(before)).toBe(true);
    await backup({ force: true });
    expect(readFileSync(file).equals(before)).toBe(false);
    expect(written()).toEqual(["monday.db"]);
  });

  test("replaces nothing else, whatever is asked for: another file, a link, a device, a directory", async () => {
    const link = join(directory, "backup", "link.db");
    const letter = join(directory, "backup", "letter");
    writeFileSync(letter, "a letter");
    symlinkSync(file, link);
    await backup();
    const others: [string, string][] = [
      [letter, "no backup"],
      [link, "no regular file"],
      ["/dev/null", "no regular file"],
      [join(directory, "backup"), "no regular file"],
    ];
    for (const [each, reason] of others) {
      await expect(backup({ file: each, force: true })).rejects.toThrow(`FILE: ${each} is there, and ${reason}`);
    }
    expect(readFileSync(letter, "utf8")).toBe("a letter");
    expect(written().sort()).toEqual(["letter", "link.db", "monday.db"]);
  });

  test("is never written over a file of the service itself, by whatever road of links it is named", async () => {
    const running = new DatabaseSync(database);
    running.exec("PRAGMA journal_mode = WAL; DELETE FROM history");
    const pki = join(directory, "pki");
    writeFileSync(join(pki, "server.key"), "the server's key");
    symlinkSync(join(directory, "data"), join(directory, "road"));
    symlinkSync(keyFile, join(directory, "link"));
    linkSync(database, join(directory, "twin"));
    const own = [
      ...["", "-wal", "-shm", "-journal", ".lock", ".restoring", ".before-2026"].map((end) => `${database}${end}`),
      join(directory, "road", "bmc-service.db"),
      ...["", ".new", ".old", ".unfinished"].map((end) => `${keyFile}${end}`),
      join(pki, "server.key"),
      join(pki, "agents-ca.pem"),
      join(directory, "link"),
      join(directory, "twin"),
    ];
    const before = readFileSync(database);
    for (const each of own) {
      await expect(backup({ file: each, force: true }), each).rejects.toThrow("is a file of the service itself");
    }
    expect(readFileSync(database).equals(before)).toBe(true);
    expect(await databaseKey({ path: keyFile, guardedBySystemd: false }, database)).toEqual(key);
    expect(readdirSync(pki).sort()).toEqual(["secret.key", "server.key"]);
    running.close();
  });

  test("that is killed in the middle leaves no file of that name, and is no obstacle for the next", async () => {
    const program = join(import.meta.dirname, "..", "fixture", "interrupted.ts");
    // More pages than one step of the copy takes.
    using connection = new DatabaseSync(database);
    connection.exec("CREATE TABLE more (bytes BLOB) STRICT; INSERT INTO more VALUES (zeroblob(600000))");
    const child = spawn(process.execPath, [program, "backup", database, keyFile, file], { stdio: "inherit" });
    expect(await once(child, "exit")).toEqual([null, "SIGKILL"]);
    expect(written()).toContain("monday.db.unfinished");
    expect(written()).not.toContain("monday.db");
    await backup();
    expect(written()).toEqual(["monday.db"]);
  });

  test("of damaged pages or with another key is refused, names the database, and nothing is left", async () => {
    await expect(backup({ keys: [new Uint8Array(32)] })).rejects.toMatchObject({ problem: "wrong key" });
    await expect(backup({ file: join(directory, "nowhere", "x.db") })).rejects.toThrow("FILE: ");
    const bytes = readFileSync(database);
    bytes.fill(0xa5, 8_192);
    writeFileSync(database, bytes);
    const refused = await backup().catch((error: unknown) => error);
    expect(refused).toMatchObject({ problem: "corrupt" });
    expect(String(refused)).toContain(`: database ${database}: it is damaged`);
    expect(String(refused)).not.toContain("unfinished");
    expect(written()).toEqual([]);
  });

  test("names a secret that is damaged, and has the rest", async () => {
    const id = damageNewest(database);
    expect(await backup()).toMatchObject({ secrets: 2, damaged: [`account:${id}`] });
  });

  test.runIf(existsSync("/dev/full"))("says that the disk is full (needs /dev/full)", async () => {
    using source = new Database(database);
    const full = source.copyTo("/dev/full", () => undefined);
    await expect(full).rejects.toMatchObject({ problem: "unwritable", message: expect.stringContaining("is full") });
    // The connection is good for more.
    await source.copyTo(file, () => undefined);
  });
});

describe("a restore", () => {
  beforeEach(async () => {
    await backup();
  });

  test("puts a database that is there aside, with all that it has", async () => {
    const newer = new DatabaseSync(database);
    newer.exec("PRAGMA journal_mode = WAL; DELETE FROM accounts");
    const before = readFileSync(file);
    await expect(restored()).rejects.toThrow("--force puts it aside");
    newer.close();
    const aside = `${database}.before-2026-01-02T03-04-05-678Z`;
    expect(await restored({ force: true })).toMatchObject({ aside });
    expect(await storedPasswords(database, key)).toEqual(passwords);
    expect(await storedPasswords(aside, key)).toEqual([]);
    expect(statSync(database).mode & 0o777).toBe(0o600);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test("is the next entry of the audit log, with the time of the backup", async () => {
    const [, begun] = await audited(database);
    await restored({ force: true });
    const [entry, before, ...more] = await audited(database);
    expect(before).toMatchObject({ action: "Backup", result: "BEGUN", at: begun?.at });
    expect(more).toEqual([]);
    expect(entry).toMatchObject({ number: 2, action: "Restore", result: "OK", actor: "bmc-service", from: "" });
    const made = `^from ${file}, made at ${begun?.at.toISOString()}; the former database is ${database}.before-.*; by \\S+ on the`;
    expect(entry?.detail).toMatch(new RegExp(made));
  });

  test("takes the place of a database that is damaged", async () => {
    writeFileSync(database, Buffer.alloc(20_000, 0xa5));
    const { aside } = await restored({ force: true });
    expect(readFileSync(String(aside))).toEqual(Buffer.alloc(20_000, 0xa5));
    expect(await storedPasswords(database, key)).toEqual(passwords);
  });

  test.each([
    ["damaged", (bytes: Buffer) => bytes.fill(0xa5, 8_192), "corrupt"],
    ["cut off", (bytes: Buffer) => bytes.subarray(0, 8_192), "corrupt"],
    ["empty", () => Buffer.alloc(0), "corrupt"],
  ])("of a backup that is %s changes nothing", async (_how, spoil, problem) => {
    writeFileSync(file, spoil(readFileSync(file)));
    const before = readFileSync(database);
    for (const acceptDoubtful of [false, true]) {
      const refused = await restored({ force: true, acceptDoubtful }).catch((error: unknown) => error);
      expect(refused).toMatchObject({ problem });
      expect(String(refused)).toContain(`backup ${file}: `);
      expect(String(refused)).toMatch(/take another backup/i);
      expect(String(refused)).not.toContain("restoring");
    }
    expect(readFileSync(database).equals(before)).toBe(true);
    expect(data()).toEqual(["bmc-service.db"]);
  });

  test("of a backup of a newer release changes nothing", async () => {
    await spoilAndSeal("PRAGMA user_version = 99");
    await expect(restored({ force: true })).rejects.toMatchObject({ problem: "newer schema" });
    expect(data()).toEqual(["bmc-service.db"]);
  });

  test("refuses a backup of which any one bit was changed", async () => {
    const whole = readFileSync(file);
    const before = readFileSync(database);
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: whole.length - 1 }), fc.nat({ max: 7 }), async (at, bit) => {
        const spoiled = Buffer.from(whole);
        spoiled[at] = (spoiled[at] ?? 0) ^ (1 << bit);
        writeFileSync(file, spoiled);
        await expect(restored({ force: true })).rejects.toBeInstanceOf(StoreError);
      }),
      // The header and the seal each time, the rest here and there.
      {
        numRuns: 300,
        examples: [...range(0, 100), ...range(whole.length - 64, whole.length)].map((at) => [at, at % 8]),
      },
    );
    expect(readFileSync(database).equals(before)).toBe(true);
    writeFileSync(file, whole);
    await restored({ force: true });
    expect(await storedPasswords(database, key)).toEqual(passwords);
  });

  test("refuses a backup that somebody has edited, and takes it only when that is asked for, and says so", async () => {
    edit(file, "UPDATE machines SET boot_id = 'another'");
    const refused = await restored({ force: true }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ problem: "corrupt" });
    expect(String(refused)).toContain(`backup ${file}: it is damaged, or was changed after it was made. Nothing was`);
    const doubts = ["it is damaged, or was changed after it was made"];
    expect(await restored({ force: true, acceptDoubtful: true })).toMatchObject({ doubts });
    expect((await audited(database))[0]?.detail).toContain(`accepted although ${doubts[0]}`);
    expect(await storedPasswords(database, key)).toEqual(passwords);
  });

  test("refuses a database without seal, as older releases have made, until that is asked for", async () => {
    await restored({ force: true });
    const { aside } = await restored({ force: true, now: new Date("2026-02-02T00:00:00Z") });
    const old = { force: true, file: String(aside) };
    await expect(restored(old)).rejects.toThrow("it has no seal (an older release made it");
    expect((await restored({ ...old, acceptDoubtful: true })).doubts).toHaveLength(1);
    expect(await storedPasswords(database, key)).toEqual(passwords);
  });

  test("refuses a backup whose audit log does not hold, until that is asked for", async () => {
    edit(database, "DROP TRIGGER audit_entries_stay; UPDATE audit SET actor = 'somebody' WHERE number = 1");
    expect(await backup({ force: true })).toMatchObject({ auditHolds: false });
    await expect(restored({ force: true })).rejects.toThrow("its audit log does not hold");
    expect(await restored({ force: true, acceptDoubtful: true })).toMatchObject({
      doubts: ["its audit log does not hold"],
    });
  });

  test("of a device, a directory or the service's own half of a restore is refused", async () => {
    for (const each of ["/dev/zero", directory]) {
      await expect(restored({ force: true, file: each })).rejects.toThrow("is no regular file");
    }
    const half = `${database}.restoring`;
    renameSync(file, half);
    await expect(restored({ force: true, file: half })).rejects.toThrow("move it elsewhere");
    expect(existsSync(half)).toBe(true);
  });

  test("with another key, of nothing, or of a database in use changes nothing", async () => {
    await expect(restored({ force: true, keys: [new Uint8Array(32)] })).rejects.toMatchObject({ problem: "wrong key" });
    await expect(restored({ force: true, file: "/nowhere.db" })).rejects.toThrow("there is no such file");
    writeFileSync(`${file}-wal`, "x");
    await expect(restored({ force: true })).rejects.toThrow("a database in use");
    expect(data()).toEqual(["bmc-service.db"]);
  });

  test("that was interrupted after the old database was taken away is run again", async () => {
    // What is left of the old one must not be played into the new one.
    const writer = startWriter();
    await expect.poll(writer.committed, { timeout: 8_000 }).toBeGreaterThan(5);
    await writer.end();
    rmSync(database);
    writeFileSync(`${database}.restoring`, "half");
    const source = { path: keyFile, guardedBySystemd: false };
    await expect(databaseKey(source, database)).rejects.toThrow("Run it again");
    await restored();
    expect(await storedPasswords(database, await databaseKey(source, database))).toEqual(passwords);
    using connection = new DatabaseSync(database);
    expect(connection.prepare("SELECT count(*) AS number FROM history").get()).toEqual({ number: 0 });
    expect(existsSync(`${database}.before-2026-01-02T03-04-05-678Z-wal`)).toBe(true);
  });
});
