import { randomBytes } from "node:crypto";
import { open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ConfigError, systemReason } from "../config-error.ts";
import { makeDirectory } from "../make-directory.ts";
import { secretKeySize } from "./secret-box.ts";

/** Where the key is read from. */
export interface KeySource {
  readonly path: string;
  /** systemd guards its credential directory itself, and shows an ACL mask where others have mode bits. */
  readonly guardedBySystemd: boolean;
}

/**
 * The key of --key; without it $CREDENTIALS_DIRECTORY/bmc-service.key if systemd gave one; else secret.key beside
 * the certificates: a copy of the data directory alone reveals nothing.
 */
export async function chooseKeySource(
  options: { readonly key: string | undefined; readonly pki: string },
  environment: Readonly<Record<string, string | undefined>>,
): Promise<KeySource> {
  if (options.key !== undefined) return { path: options.key, guardedBySystemd: false };
  const credentials = environment.CREDENTIALS_DIRECTORY;
  if (credentials !== undefined && credentials !== "") {
    const path = join(credentials, "bmc-service.key");
    if ((await modeOf(path)) !== undefined) return { path, guardedBySystemd: true };
  }
  return { path: join(options.pki, "secret.key"), guardedBySystemd: false };
}

/**
 * Reads the key that opens the secrets of a database, or makes it for a new one.
 * The file holds 32 bytes in base64.
 * @throws ConfigError if it is missing although the database is there, malformed, or readable by others
 */
export async function loadKey(source: KeySource, databaseIsNew: boolean): Promise<Uint8Array> {
  const { path } = source;
  const mode = await modeOf(path);
  if (mode === undefined) {
    if (!databaseIsNew) {
      throw new ConfigError(
        "--key",
        `${path} is missing, and without it the passwords in the database cannot be read. ` +
          "Bring it back from your backup; only if it is lost, delete the database and enrol every machine again",
      );
    }
    return createKey(path);
  }
  if (!source.guardedBySystemd && (mode & 0o077) !== 0) {
    const shown = (mode & 0o777).toString(8).padStart(3, "0");
    throw new ConfigError("--key", `${path} has mode ${shown}: others may read it. Type: chmod 600 ${path}`);
  }
  return decodeKey(path, await readKey(path));
}

async function modeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).mode;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new ConfigError("--key", `${path}: ${systemReason(error)}`, { cause: error });
  }
}

async function readKey(path: string): Promise<string> {
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

async function createKey(path: string): Promise<Uint8Array> {
  const key = randomBytes(secretKeySize);
  const unfinished = `${path}.new`;
  try {
    await makeDirectory(dirname(path), 0o700);
    // Under another name until it is whole: half a key would be taken for a wrong one at every later start.
    await rm(unfinished, { force: true });
    const file = await open(unfinished, "wx", 0o600);
    try {
      await file.writeFile(`${key.toString("base64")}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
    // The name must be on the disk before the first secret is: a key lost with the power is every secret lost.
    const directory = await open(dirname(path), "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    throw new ConfigError("--key", `${path} cannot be made: ${systemReason(error)}`, { cause: error });
  }
  return key;
}
