import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ConfigError, systemReason } from "../config-error.ts";
import { giveToOwnerOf } from "../store/owner.ts";
import { syncToDisk } from "../store/sync-to-disk.ts";

/** A key to which agents seal the passwords of their reports. X25519, RFC 7748. */
export interface ReportKey {
  /** The first 16 digits of the SHA-256 of the public key, hexadecimal. */
  readonly id: string;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly privateKey: KeyObject;
}

/** Where the keys lie: beside the certificates, apart from the database. */
export const reportKeysPath = (pki: string): string => join(pki, "report.key");

const keyBlock = /-----BEGIN PRIVATE KEY-----[\s\S]*?-----END PRIVATE KEY-----/g;

/**
 * All keys of a site, the current one first; older ones open older reports. None if there is no file.
 * @throws ConfigError if the file cannot be used, or others may read it
 */
export async function readReportKeys(path: string): Promise<ReportKey[]> {
  const text = await readPrivate(path);
  if (text === undefined) return [];
  const blocks = text.match(keyBlock) ?? [];
  if (blocks.length === 0) throw new ConfigError("--pki", `${path} holds no private key (PEM)`);
  return blocks.map((pem, index) => {
    try {
      return reportKey(createPrivateKey(pem));
    } catch {
      // Without the cause: nothing of a private key may reach a log.
      throw new ConfigError("--pki", `${path}: key ${index + 1} of ${blocks.length} is no private key of X25519`);
    }
  });
}

function reportKey(privateKey: KeyObject): ReportKey {
  if (privateKey.asymmetricKeyType !== "x25519") throw new TypeError("not X25519");
  const { x = "" } = createPublicKey(privateKey.export({ type: "pkcs8", format: "pem" })).export({ format: "jwk" });
  const publicKey = Buffer.from(x, "base64url");
  return { id: reportKeyId(publicKey), publicKey, privateKey };
}

/** @param publicKey 32 bytes */
export function reportKeyId(publicKey: Uint8Array): string {
  return createHash("sha256").update(publicKey).digest("hex").slice(0, 16);
}

/**
 * Makes a key and puts it before those that are there; all of them are on the disk when it resolves.
 * @throws ConfigError
 */
export async function addReportKey(path: string): Promise<ReportKey> {
  const before = (await readPrivate(path)) ?? "";
  const { privateKey } = generateKeyPairSync("x25519");
  const unfinished = `${path}.unfinished`;
  try {
    await rm(unfinished, { force: true });
    const file = await open(unfinished, "wx", 0o600);
    try {
      await file.writeFile(`${privateKey.export({ type: "pkcs8", format: "pem" })}${before}`);
      await file.sync();
    } finally {
      await file.close();
    }
    await giveToOwnerOf(dirname(path), unfinished);
    await rename(unfinished, path);
    // Before the first report is sealed to it: a key lost with the power is every one of those.
    await syncToDisk(dirname(path));
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => undefined);
    throw new ConfigError("--pki", `${path} cannot be written: ${systemReason(error)}`, { cause: error });
  }
  return reportKey(privateKey);
}

async function readPrivate(path: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) {
      const shown = (mode & 0o777).toString(8).padStart(3, "0");
      throw new ConfigError("--pki", `${path} has mode ${shown}: others may read it. Type: chmod 600 ${path}`);
    }
    return await readFile(path, "latin1");
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new ConfigError("--pki", `${path}: ${systemReason(error)}`, { cause: error });
  }
}
