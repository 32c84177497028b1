import { randomBytes } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Secret } from "../../ipmi/secret.ts";
import { BmcFactsOutline } from "../../proto/gen/metalrivet/store/v1/outline.ts";
import { BmcFacts, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { Machine } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import { factsOf, mac1, mac2, machineOf, uuid1 } from "../fixture/enrolling.ts";
import { Database } from "./database.ts";
import { migrate, schemaVersion } from "./migrate.ts";
import { migrations } from "./migrations/index.ts";
import { SecretBox } from "./secret-box.ts";
import { SqliteStore } from "./sqlite-store.ts";
import { storeContract } from "./store-contract.ts";
import { StoreError } from "./store-error.ts";
import { StoreLock } from "./store-lock.ts";

storeContract("SqliteStore", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sqlite-store-"));
  const key = randomBytes(32);
  return {
    historyKept: 30,
    open: async () => new SqliteStore(join(directory, "bmc-service.db"), key, 30),
    remove: async () => rmSync(directory, { recursive: true }),
  };
});

let directory: string;
let path: string;
const key = randomBytes(32);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "sqlite-store-"));
  path = join(directory, "bmc-service.db");
});

afterEach(() => rmSync(directory, { recursive: true }));

function problemOf(open: () => unknown): { problem: string; message: string } {
  try {
    open();
  } catch (error) {
    if (error instanceof StoreError) return { problem: error.problem, message: error.message };
    throw error;
  }
  throw new Error("it was opened");
}

describe("a database", () => {
  test("is made for its owner alone", async () => {
    await using _open = new SqliteStore(path, key);
    const modes = readdirSync(directory).map((name) => statSync(join(directory, name)).mode & 0o777);
    expect(modes).toEqual([0o600, 0o600, 0o600]);
  });

  test("waits for the disk and keeps foreign keys", () => {
    using database = new Database(path);
    database.useWriteAheadLog();
    expect(database.get("PRAGMA journal_mode")).toEqual({ journal_mode: "wal" });
    expect(database.get("PRAGMA synchronous")).toEqual({ synchronous: 2 });
    expect(database.get("PRAGMA foreign_keys")).toEqual({ foreign_keys: 1 });
  });

  test("of a newer schema is refused with both numbers, and not touched", async () => {
    await new SqliteStore(path, key)[Symbol.asyncDispose]();
    const newer = new DatabaseSync(path);
    newer.exec("PRAGMA user_version = 99; PRAGMA journal_mode = DELETE");
    newer.close();
    const before = readFileSync(path);
    const { problem, message } = problemOf(() => new SqliteStore(path, key));
    expect(problem).toBe("newer schema");
    expect(message).toContain("schema 99");
    expect(message).toContain(`up to schema ${migrations.length}`);
    expect(readFileSync(path).equals(before)).toBe(true);
    using database = new Database(path);
    expect(schemaVersion(database)).toBe(99);
  });

  test("of another key is refused", async () => {
    await new SqliteStore(path, key)[Symbol.asyncDispose]();
    const { problem, message } = problemOf(() => new SqliteStore(path, randomBytes(32)));
    expect(problem).toBe("wrong key");
    expect(message).toContain("--key");
    await new SqliteStore(path, key)[Symbol.asyncDispose]();
  });

  test("that is none is refused, and left as it is", () => {
    const text = "this is a letter to my aunt, not a database\n".repeat(100);
    writeFileSync(path, text);
    expect(problemOf(() => new SqliteStore(path, key)).problem).toBe("corrupt");
    expect(readFileSync(path, "utf8")).toBe(text);
  });

  test("of another program is refused, and left as it is", () => {
    const other = new DatabaseSync(path);
    other.exec("CREATE TABLE bmcs (x TEXT)");
    other.close();
    const before = readFileSync(path);
    const { problem, message } = problemOf(() => new SqliteStore(path, key));
    expect(problem).toBe("corrupt");
    expect(message).toContain("another program");
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test("whose pages are damaged is refused or says so at the first read", async () => {
    await new SqliteStore(path, key)[Symbol.asyncDispose]();
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 100, bytes.length);
    writeFileSync(path, bytes);
    expect(problemOf(() => new SqliteStore(path, key)).problem).toBe("corrupt");
  });

  test("in a directory that is not there is refused", () => {
    const { problem, message } = problemOf(() => new SqliteStore(join(directory, "nowhere", "x.db"), key));
    expect(problem).toBe("unwritable");
    expect(message).toContain("nowhere");
  });

  test("that another process keeps locked says so", async () => {
    await new SqliteStore(path, key)[Symbol.asyncDispose]();
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    using database = new Database(path, 20);
    expect(problemOf(() => database.transaction(() => undefined)).problem).toBe("locked");
    other.close();
    database.transaction(() => undefined);
  });
});

test("the lock keeps a second service away until the first one ends", () => {
  const first = new StoreLock(path, 0);
  const { problem, message } = problemOf(() => new StoreLock(path, 0));
  expect(problem).toBe("locked");
  expect(message).toContain(path);
  first[Symbol.dispose]();
  new StoreLock(path, 0)[Symbol.dispose]();
  expect(problemOf(() => new StoreLock(join(directory, "nowhere", "x.db"), 0)).problem).toBe("unwritable");
});

describe("migrations", () => {
  test("are numbered from 1 without gaps", () => {
    expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, i) => i + 1));
  });

  test("are taken once", () => {
    using database = new Database(path);
    expect(migrate(database, migrations)).toEqual(migrations.map(({ version }) => version));
    expect(migrate(database, migrations)).toEqual([]);
  });

  test("keep what the first release has stored, and the password opens", async () => {
    {
      using database = new Database(path);
      migrate(database, migrations.slice(0, 1));
      const box = new SecretBox(key);
      const machine = Buffer.from(Machine.encode(machineOf(uuid1, "S-1")).finish());
      const facts = Buffer.from(BmcFacts.encode(factsOf(mac1)).finish());
      database.run("INSERT INTO machines VALUES (?, ?, NULL, 'metal-rivet 0.1.0', 'boot', 1, 2)", uuid1, machine);
      database.run(
        "INSERT INTO bmcs VALUES (?, ?, ?, '[\"IPMI\"]', 4, '', ?, '', NULL, 3, 1, 2)",
        mac1,
        mac1,
        uuid1,
        facts,
      );
      database.run("INSERT INTO bmcs VALUES (?, ?, NULL, '[]', 1, '', NULL, '', NULL, NULL, 1, 2)", mac2, mac2);
      const sealed = box.seal(Secret.fromBytes(Buffer.from("Old-password-123")), "account:a");
      database.run("INSERT INTO accounts VALUES (7, 'a', ?, 's', 'rivetold', ?, 3, 1, 1, 3, '', 3, 1)", mac1, sealed);
      database.run("INSERT INTO sessions VALUES ('s', x'00', ?, 'boot', ?, 1, 99)", uuid1, mac1);
      database.run("INSERT INTO history VALUES (1, 1, ?, ?, 'agent', 'reported', '')", mac1, uuid1);
    }
    await using store = new SqliteStore(path, key);
    const [record, other] = await store.bmcs();
    expect(record).toMatchObject({
      row: { key: mac1, machineKey: uuid1, machineUuid: uuid1, state: State.STATE_LINKED, facts: factsOf(mac1) },
      machine: { key: uuid1, uuid: uuid1, machine: machineOf(uuid1, "S-1") },
      account: { id: "a", userName: "rivetold", givenBy: "", passwordForm: 0 },
      twins: [],
    });
    expect(Buffer.from(record?.account?.password.reveal() ?? []).toString()).toBe("Old-password-123");
    expect(other?.row).toMatchObject({ key: mac2, machineKey: undefined, machineUuid: undefined });
    const session = await store.session(Uint8Array.of(0), new Date(50));
    expect(session).toMatchObject({ machineKey: uuid1, machineUuid: uuid1, bmcKey: mac1 });
    if (session === undefined) return;
    await store.reportBmc(session, factsOf(mac1), new Date(51));
    expect((await store.bmc(mac1))?.machine).toMatchObject({ agentVersion: "metal-rivet 0.1.0" });
    expect(await store.history(uuid1, 10)).toHaveLength(1);
  });

  test("that are interrupted leave the file as before the step, and are taken at the next start", () => {
    using database = new Database(path);
    const broken = [
      { version: 1, sql: "CREATE TABLE a (b TEXT); INSERT INTO a VALUES ('x')" },
      { version: 2, sql: "CREATE TABLE c (d TEXT); INSERT INTO nowhere VALUES (1)" },
    ];
    expect(() => migrate(database, broken)).toThrow(StoreError);
    expect(schemaVersion(database)).toBe(1);
    expect(database.all("SELECT name FROM sqlite_schema")).toEqual([{ name: "a" }]);
    const mended = [...broken.slice(0, 1), { version: 2, sql: "CREATE TABLE c (d TEXT)" }];
    expect(migrate(database, mended)).toEqual([2]);
    expect(database.all("SELECT * FROM a")).toEqual([{ b: "x" }]);
  });
});

test("a transaction that fails leaves nothing behind", () => {
  using database = new Database(path);
  database.execute("CREATE TABLE a (b TEXT)");
  expect(() =>
    database.transaction(() => {
      database.run("INSERT INTO a VALUES ('x')");
      throw new RangeError("midway");
    }),
  ).toThrow("midway");
  expect(database.all("SELECT * FROM a")).toEqual([]);
});

test("what a list reads of a BMC's facts has their numbers", () => {
  const manufacturers = { boardManufacturer: "a", productManufacturer: "b" };
  const facts = { ipv4Address: "10.0.0.8", ipv6Addresses: ["2001:db8::7/64"], rmcpPort: 1_623, manufacturerId: 10_876 };
  const whole = BmcFacts.fromPartial({
    ...{ ...facts, mac: mac1, channel: 1, guid: "00", findings: ["x"] },
    ...{ fru: { ...manufacturers, productName: "c" }, channels: [{ channel: 1 }] },
  });
  expect(BmcFactsOutline.decode(BmcFacts.encode(whole).finish())).toEqual({ ...facts, fru: manufacturers });
});
