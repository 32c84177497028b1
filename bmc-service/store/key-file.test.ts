import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ConfigError } from "../config-error.ts";
import { chooseKeySource, loadKey } from "./key-file.ts";

let directory: string;
let path: string;
const source = () => ({ path, guardedBySystemd: false });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "key-file-"));
  path = join(directory, "pki", "secret.key");
});

afterEach(() => rmSync(directory, { recursive: true }));

test("a new database gets a new key, for its owner alone", async () => {
  const key = await loadKey(source(), true);
  expect(key).toHaveLength(32);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(Buffer.from(await loadKey(source(), false))).toEqual(Buffer.from(key));
});

test("a key that could not be finished leaves nothing behind that would be taken for one", async () => {
  mkdirSync(join(directory, "pki"));
  // The name under which it is written is taken by something that cannot be removed like a file.
  mkdirSync(`${path}.new`);
  await expect(loadKey(source(), true)).rejects.toThrow(`--key: ${path} cannot be made`);
  expect(readdirSync(join(directory, "pki"))).toEqual(["secret.key.new"]);
  rmSync(`${path}.new`, { recursive: true });
  // What a power cut in the middle has left is no obstacle either.
  writeFileSync(`${path}.new`, "ha");
  expect(await loadKey(source(), true)).toHaveLength(32);
  expect(readdirSync(join(directory, "pki"))).toEqual(["secret.key"]);
});

test("an existing database does not get a new key", async () => {
  await expect(loadKey(source(), false)).rejects.toThrow(ConfigError);
  await expect(loadKey(source(), false)).rejects.toThrow(`--key: ${path} is missing`);
});

test("a key that others may read is refused with what to type", async () => {
  await loadKey(source(), true);
  for (const mode of [0o640, 0o604, 0o666]) {
    chmodSync(path, mode);
    await expect(loadKey(source(), false)).rejects.toThrow(`Type: chmod 600 ${path}`);
  }
  chmodSync(path, 0o400);
  expect(await loadKey(source(), false)).toHaveLength(32);
});

test("a file that holds no key is refused without quoting it", async () => {
  await loadKey(source(), true);
  const good = readFileSync(path, "utf8");
  for (const bad of ["", "hello", good.slice(4), `${good}${good}`]) {
    writeFileSync(path, bad);
    const error = await loadKey(source(), false).catch((refused: unknown) => refused);
    expect(error).toBeInstanceOf(ConfigError);
    if (bad.length > 4) expect(String(error)).not.toContain(bad.trim());
  }
});

test("--key comes before systemd's credential, that before the file beside the certificates", async () => {
  const pki = join(directory, "pki");
  const credentials = join(directory, "credentials");
  const environment = { CREDENTIALS_DIRECTORY: credentials };
  expect((await chooseKeySource({ key: undefined, pki }, environment)).path).toBe(path);
  mkdirSync(credentials);
  writeFileSync(join(credentials, "bmc-service.key"), `${Buffer.alloc(32, 7).toString("base64")}\n`);
  chmodSync(join(credentials, "bmc-service.key"), 0o440);
  const chosen = await chooseKeySource({ key: undefined, pki }, environment);
  expect(chosen.path).toBe(join(credentials, "bmc-service.key"));
  expect(await loadKey(chosen, false)).toEqual(Buffer.alloc(32, 7));
  expect((await chooseKeySource({ key: "/elsewhere", pki }, environment)).path).toBe("/elsewhere");
});
