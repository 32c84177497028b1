import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ConfigError } from "../config-error.ts";
import { chooseKeySource, createKey, destroyKey, readKey } from "./key-file.ts";

let directory: string;
let path: string;
const read = () => readKey({ path, guardedBySystemd: false });

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "key-file-"));
  path = join(directory, "pki", "secret.key");
});

afterEach(() => rmSync(directory, { recursive: true }));

test("a new key is for its owner alone", async () => {
  expect(await read()).toBeUndefined();
  const key = await createKey(path);
  expect(key).toHaveLength(32);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(Buffer.from((await read()) ?? [])).toEqual(key);
});

test("a key that could not be finished leaves nothing behind that would be taken for one", async () => {
  mkdirSync(join(directory, "pki"));
  // The name under which it is written is taken by something that cannot be removed like a file.
  mkdirSync(`${path}.unfinished`);
  await expect(createKey(path)).rejects.toThrow(`--key: ${path} cannot be made`);
  expect(readdirSync(join(directory, "pki"))).toEqual(["secret.key.unfinished"]);
  rmSync(`${path}.unfinished`, { recursive: true });
  // What a power cut in the middle has left is no obstacle either.
  writeFileSync(`${path}.unfinished`, "ha");
  expect(await createKey(path)).toHaveLength(32);
  expect(readdirSync(join(directory, "pki"))).toEqual(["secret.key"]);
});

test("a key that others may read is refused with what to type", async () => {
  await createKey(path);
  for (const mode of [0o640, 0o604, 0o666]) {
    chmodSync(path, mode);
    await expect(read()).rejects.toThrow(`Type: chmod 600 ${path}`);
  }
  chmodSync(path, 0o400);
  expect(await read()).toHaveLength(32);
});

test("a directory in the key's place is refused as what it is", async () => {
  mkdirSync(path, { recursive: true });
  await expect(read()).rejects.toThrow(`--key: ${path} is no regular file, so no key`);
});

test("a file that holds no key is refused without quoting it", async () => {
  await createKey(path);
  const good = readFileSync(path, "utf8");
  for (const bad of ["", "hello", good.slice(4), `${good}${good}`]) {
    writeFileSync(path, bad);
    const error = await read().catch((refused: unknown) => refused);
    expect(error).toBeInstanceOf(ConfigError);
    if (bad.length > 4) expect(String(error)).not.toContain(bad.trim());
  }
});

test("a key that is destroyed is overwritten first, also where its owner may only read it", async () => {
  await createKey(path);
  const other = join(directory, "the same file");
  // A second name shows what becomes of the content.
  linkSync(path, other);
  chmodSync(path, 0o400);
  await destroyKey(path);
  expect(readdirSync(join(directory, "pki"))).toEqual([]);
  expect(readFileSync(other)).toEqual(Buffer.alloc(45));
  await destroyKey(path);
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
  expect(await readKey(chosen)).toEqual(Buffer.alloc(32, 7));
  expect((await chooseKeySource({ key: "/elsewhere", pki }, environment)).path).toBe("/elsewhere");
  await expect(chooseKeySource({ key: undefined, pki: undefined }, {})).rejects.toThrow("--key: say where the key");
});
