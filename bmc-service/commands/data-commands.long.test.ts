import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { canary } from "../fixture/enrolling.ts";
import { FakeBmc } from "../fixture/fake-bmc.ts";
import { newSite, type Site, startTestService } from "../fixture/service.ts";
import { makeDatabase, storedPasswords } from "../fixture/stored-accounts.ts";
import { runProgram } from "../program.ts";
import { createKey, readKey } from "../store/key-file.ts";

let site: Site;
let database: string;
let keyFile: string;
let file: string;

beforeEach(async () => {
  site = await newSite();
  mkdirSync(site.data);
  database = join(site.data, "bmc-service.db");
  keyFile = join(site.pki, "secret.key");
  file = join(site.directory, "backup.db");
  await makeDatabase(database, await createKey(keyFile), [canary]);
});

afterEach(() => site[Symbol.dispose]());

async function run(...args: string[]) {
  let out = "";
  let err = "";
  const code = await runProgram(args, {
    environment: {},
    errorIsTerminal: true,
    stop: async () => undefined,
    write: (text) => {
      out += text;
    },
    error: (text) => {
      err += text;
    },
  });
  expect(out + err).not.toContain(canary);
  expect(out + err).not.toContain(readFileSync(keyFile, "utf8").slice(0, 8));
  return { code, out, err };
}

const key = async () => (await readKey({ path: keyFile, guardedBySystemd: false })) ?? new Uint8Array();
const where = () => ["--data", site.data, "--pki", site.pki];

test("backup works beside a service that runs; rekey and restore refuse", async () => {
  const service = await startTestService(site, new FakeBmc("52:54:00:b1:00:01").connect);
  const made = await run("backup", file, ...where());
  expect(made).toMatchObject({ code: 0, out: expect.stringMatching(/1 secrets; read back\.\nThe key is not in it/) });
  const before = await key();
  for (const command of [["rekey"], ["restore", file, "--force"]]) {
    const refused = await run(...command, ...where());
    expect(refused).toMatchObject({ code: 75, err: expect.stringContaining("another bmc-service works with it") });
  }
  expect(await key()).toEqual(before);
  await service[Symbol.asyncDispose]();
  expect(await storedPasswords(database, before)).toEqual([canary]);
});

test("rekey changes the key; a backup from before needs the old one", async () => {
  expect((await run("backup", file, ...where())).code).toBe(0);
  const changed = await run("rekey", ...where());
  expect(changed).toMatchObject({ code: 0, out: expect.stringContaining(`sealed with the key in ${keyFile} now`) });
  expect(await storedPasswords(database, await key())).toEqual([canary]);
  const refused = await run("restore", file, ...where(), "--force");
  expect(refused).toMatchObject({ code: 78, err: expect.stringContaining("another key") });
  expect(await storedPasswords(database, await key())).toEqual([canary]);
});

test("restore says where the former database is", async () => {
  await run("backup", file, ...where());
  expect(await run("backup", file, ...where())).toMatchObject({ code: 78, err: expect.stringContaining("--force") });
  expect(await run("restore", file, ...where())).toMatchObject({ code: 78, err: expect.stringContaining("--force") });
  const restored = await run("restore", file, "--force", ...where());
  expect(restored).toMatchObject({
    code: 0,
    out: expect.stringMatching(/restored.*1 secrets\.\nThe former database is /),
  });
  expect(await storedPasswords(database, await key())).toEqual([canary]);
});

test("a directory without database, and a key that nobody names, are refused", async () => {
  for (const command of [["rekey"], ["backup", file]]) {
    const nowhere = await run(...command, "--data", site.directory, "--pki", site.pki);
    expect(nowhere).toMatchObject({ code: 78, err: expect.stringContaining("there is no such file") });
    const keyless = await run(...command, "--data", site.data);
    expect(keyless).toMatchObject({ code: 78, err: expect.stringContaining("--key FILE, or --pki DIR") });
    expect(await run(...command)).toMatchObject({ code: 64, err: expect.stringContaining("--data") });
  }
});

test("serve refuses a database of which a page is damaged, and changes nothing", async () => {
  const spoiled = readFileSync(database).fill(0xa5, 20_480, 24_576);
  writeFileSync(database, spoiled);
  const refused = await run("serve", ...where(), "--listen", "127.0.0.1:0", "--log-level", "silent");
  expect(refused.code).toBe(78);
  expect(refused.err).toMatch(
    /^bmc-service: database \S+bmc-service.db: it is damaged.*bring it back from your backup/s,
  );
  expect(readFileSync(database).equals(spoiled)).toBe(true);
});

test("0 is no time, and the message says so", async () => {
  const refused = await run("serve", ...where(), "--session-for", "0s");
  expect(refused).toMatchObject({ code: 64, err: expect.stringContaining("0 is not allowed") });
});

test("the example for systemd starts a service", async () => {
  const unit = readFileSync(join(import.meta.dirname, "..", "bmc-service.service"), "utf8");
  const command = /^ExecStart=\S+\/bmc-service (.*)$/m.exec(unit)?.[1] ?? "";
  const here = command
    .replace("/etc/bmc-service/pki", site.pki)
    .replace("/var/lib/bmc-service", site.data)
    .replace("0.0.0.0:4443", "127.0.0.1:0");
  expect(await run(...here.split(" "), "--log-level", "silent")).toEqual({ code: 0, out: "", err: "" });
});
