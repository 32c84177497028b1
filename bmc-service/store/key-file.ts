import { randomBytes } from "node:crypto";
import { chmod, constants, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ConfigError, systemReason } from "../config-error.ts";
import { makeDirectory } from "../make-directory.ts";
import { secretKeySize } from "./secret-box.ts";
import { syncToDisk } from "./sync-to-disk.ts";

/** Where the key is read from. */
export interface KeySource {
  readonly path: string;
  /** systemd guards its credential directory itself, and shows an ACL mask where others have mode bits. Read-only. */
  readonly guardedBySystemd: boolean;
}

/**
 * The key of --key; without it $CREDENTIALS_DIRECTORY/bmc-service.key if systemd gave one; else secret.key beside
 * the certificates: a copy of the data directory alone reveals nothing.
 * @throws ConfigError if none of the three is given
 */
export async function chooseKeySource(
  options: { readonly key: string | undefined; readonly pki: string | undefined },
  environment: Readonly<Record<string, string | undefined>>,
): Promise<KeySource> {
  if (options.key !== undefined) return { path: options.key, guardedBySystemd: false };
  const credentials = environment.CREDENTIALS_DIRECTORY;
  if (credentials !== undefined && credentials !== "") {
    const path = join(credentials, "bmc-service.key");
    if (await keyIsThere(path)) return { path, guardedBySystemd: true };
  }
  if (options.pki !== undefined) return { path: join(options.pki, "secret.key"), guardedBySystemd: false };
  throw new ConfigError(
    "--key",
    "say where the key of the secrets is: --key FILE, or --pki DIR if it is DIR/secret.key",
  );
}

/**
 * The key in a file: 32 bytes in base64. Undefined if there is no such file.
 * @throws ConfigError if it is malformed, or others may read it
 */
export async function readKey({ path, guardedBySystemd }: KeySource): Promise<Uint8Array | undefined> {
  const mode = await modeOf(path);
  if (mode === undefined) return undefined;
  if (!guardedBySystemd) requirePrivate("--key", path, mode);
  return decodeKey(path, await readText(path));
}

/**
 * Refuses the file of a key that is none, or that others may read.
 * @param mode as stat tells it
 * @param forbidden permission bits that no such file may have
 * @throws ConfigError
 */
export function requirePrivate(option: string, path: string, mode: number, forbidden = 0o077): void {
  if ((mode & constants.S_IFMT) !== constants.S_IFREG)
    throw new ConfigError(option, `${path} is no regular file, so no key`);
  if ((mode & forbidden) === 0) return;
  const shown = (mode & 0o777).toString(8).padStart(3, "0");
  throw new ConfigError(option, `${path} has mode ${shown}: others may read it. Type: chmod 600 ${path}`);
}

/** What to say where a key is missing that a database needs. */
export function missing({ path }: KeySource): never {
  throw new ConfigError(
    "--key",
    `${path} is missing, and without it the passwords in the database cannot be read. ` +
      "Bring it back from your backup; only if it is lost, delete the database and enrol every machine again",
  );
}

/**
 * Makes a random key and stores it; one that is there is replaced. On the disk when it resolves.
 * @throws ConfigError
 */
export async function createKey(path: string): Promise<Uint8Array> {
  const key = randomBytes(secretKeySize);
  await writeKey(path, key);
  return key;
}

/** @throws ConfigError */
export async function writeKey(path: string, key: Uint8Array): Promise<void> {
  const unfinished = `${path}.unfinished`;
  try {
    await makeDirectory(dirname(path), 0o700);
    // Under another name until it is whole: half a key would be taken for a wrong one at every later start.
    await rm(unfinished, { force: true });
    const file = await open(unfinished, "wx", 0o600);
    try {
      await file.writeFile(`${Buffer.from(key).toString("base64")}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
    // The name must be on the disk before the first secret is: a key lost with the power is every secret lost.
    await syncToDisk(dirname(path));
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    throw new ConfigError("--key", `${path} cannot be made: ${systemReason(error)}`, { cause: error });
  }
}

/** Overwrites a key and removes its file; nothing if it is not there. */
export async function destroyKey(path: string): Promise<void> {
  if (!(await keyIsThere(path))) return;
  await chmod(path, 0o600);
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    await file.write(Buffer.alloc(size), 0, size, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await rm(path);
  await syncToDisk(dirname(path));
}

/** @throws ConfigError if that cannot be told */
export async function keyIsThere(path: string): Promise<boolean> {
  return (await modeOf(path)) !== undefined;
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new ConfigError("--key", `${path}: ${systemReason(error)}`, { cause: error });
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new ConfigError("--key", `${path}: ${systemReason(error)}`, { cause: error });
  }
}

function decodeKey(path: string, text: string): Uint8Array {
  const key = /^[A-Za-z0-9+/]{43}=\s*$/.test(text) ? Buffer.from(text, "base64") : undefined;
  if (key?.length !== secretKeySize) {
    throw new ConfigError("--key", `${path} does not hold a key (${secretKeySize} bytes in base64, one line)`);
  }
  return key;
}
