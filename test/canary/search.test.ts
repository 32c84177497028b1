import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ProcessWatch } from "./process-watch.ts";
import { filesHolding, textsHolding, valuesHolding } from "./search.ts";

/* The canary sings: a secret that lies anywhere, in any form, is found there. */

const secret = 'Hu~ter!2%<A"z-9x';
const bytes = Buffer.from(secret);
const hex = bytes.toString("hex");

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "metal-rivet-canary-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("in a file", () => {
  test.each<[string, string | Buffer]>([
    ["plain", `xx ${secret} yy`],
    ["half of it", `password Hu~ter!2...`],
    ["reversed", `xx ${[...secret].reverse().join("")}`],
    ["UTF-16LE", Buffer.from(`x${secret}`, "utf16le")],
    ["UTF-16BE", Buffer.from(`x${secret}`, "utf16le").swap16()],
    ["hexadecimal", `request: 0047${hex}`],
    ["hexadecimal", `00 47 ${hex.replace(/../g, "$& ")}`],
    ["hexadecimal", hex.replace(/../g, "$&:")],
    ["hexadecimal, capitals", hex.toUpperCase()],
    ["hexadecimal", inspect(Buffer.from(`x${secret}`))],
    ["hexadecimal numbers", [...bytes].map((byte) => `0x${byte.toString(16)}`).join(", ")],
    ["hexadecimal, reversed", Buffer.from(bytes).reverse().toString("hex")],
    ["decimal numbers", JSON.stringify(Buffer.from(`x${secret}`))],
    ["decimal numbers", inspect(new Uint8Array(bytes))],
    ["base64", Buffer.from(secret).toString("base64")],
    ["base64", Buffer.from(`x${secret}yz`).toString("base64")],
    ["base64", Buffer.from(`xy${secret}y`).toString("base64")],
    ["base64", Buffer.from(`xy${secret}y`).toString("base64").replace(/.{6}/g, "$&\n")],
    ["base64url", Buffer.from(`xyz${secret}y`).toString("base64url")],
    ["JSON", JSON.stringify({ secret })],
    ["percent-encoded", `?p=${encodeURIComponent(secret)}`],
    ["percent-encoded throughout", hex.replace(/../g, "%$&")],
    ["HTML", secret.replace("<", "&lt;")],
  ])("%s: %j", (form, content) => {
    writeFileSync(join(directory, "some.log"), content);
    expect(filesHolding(["NotThere1!xyz", secret], directory)).toEqual([`some.log: ${form}`]);
  });

  test("not if it is not there, nor in a directory that is left out", () => {
    mkdirSync(join(directory, "flash"));
    writeFileSync(join(directory, "flash/users"), secret);
    writeFileSync(join(directory, "other.log"), "Hu~ter! and nobody else");
    expect(filesHolding(secret, directory, ["flash"])).toEqual([]);
    expect(filesHolding(secret, directory)).not.toEqual([]);
  });

  test("that is a database, its write-ahead log, or a backup of it", () => {
    using database = new DatabaseSync(join(directory, "bmc.db"));
    database.exec("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (x)");
    database.prepare("INSERT INTO t VALUES (?)").run(bytes);
    expect(filesHolding(secret, directory)).toEqual(["bmc.db-wal: plain"]);
    database.exec(`VACUUM INTO '${join(directory, "backup.db")}'`);
    expect(filesHolding(secret, directory)).toContain("backup.db: plain");
    database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
    expect(filesHolding(secret, directory)).toContain("bmc.db: plain");
  });

  test("that is an image of memory", () => {
    writeFileSync(join(directory, "core.4711"), Buffer.concat([Buffer.alloc(100_000, 7), bytes, Buffer.alloc(5_000)]));
    expect(filesHolding(secret, directory)).toEqual(["core.4711: plain"]);
  });
});

describe("in what a program says", () => {
  test.each<[string, unknown]>([
    ["a line of a log", `{"level":"info","msg":"took ${secret}"}`],
    ["a metric", `bmc_service_logins_total{user="${encodeURIComponent(secret)}"} 1`],
    ["the details of a gRPC error", Object.assign(new Error("13 INTERNAL"), { details: `bad password ${secret}` })],
    ["the cause of an error", new Error("refused", { cause: new Error("inner", { cause: { request: bytes } }) })],
    ["a field that is not shown", Object.defineProperty({}, "request", { value: bytes, enumerable: false })],
    ["a row of the history", { accounts: [{ entries: [{ text: `${hex}` }] }] }],
    ["a message with bytes", { password: new Uint8Array(bytes) }],
  ])("%s", (name, value) => {
    expect(valuesHolding(secret, { [name]: value })).toEqual([expect.stringContaining(name)]);
    expect(valuesHolding("NotThere1!xyz", { [name]: value })).toEqual([]);
  });
});

test("in argv and in the environment of a process", async () => {
  await using watch = new ProcessWatch();
  const env = { PATH: process.env.PATH, SECRET: "Canary7!x" };
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  // It reads until it was seen.
  const { stdin } = execFile("sh", ["-c", "read -r _", secret], { env }, () => resolve());
  const places = (text: string) => textsHolding(text, watch.seen);
  await expect.poll(() => places(secret)).toContainEqual(expect.stringContaining("cmdline of process"));
  await expect.poll(() => places("Canary7!x")).toContainEqual(expect.stringContaining("environ of process"));
  stdin?.end();
  await ended;
  expect(textsHolding("NotThere1!", watch.seen)).toEqual([]);
});
