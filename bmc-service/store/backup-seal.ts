import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";

/**
 * A backup is an SQLite file with a seal behind its last page, which SQLite does not look at: mark (16 bytes), name of the key (16),
 * HMAC-SHA-256 over all that stands before it (32). Its key is derived from the key of the secrets (HKDF, RFC 5869).
 */
const mark = Buffer.from("rivet backup v1\n", "latin1");
const keyNameSize = 16;
const hmacSize = 32;
const sealSize = mark.length + keyNameSize + hmacSize;

/** "mrbk", in the header of a backup; a database has 0 there. SQLite file format, 1.3. */
export const backupApplicationId = 0x6d72626b;
const applicationIdOffset = 68;
const sqliteMagic = Buffer.from("SQLite format 3\0", "latin1");

const chunkSize = 1 << 20;

/** What a look at the seal of a file can find. */
export type SealFound =
  | "whole"
  /** There is none, and nothing says that there was one. */
  | "missing"
  /** The file, or the seal itself, was changed after it was made. */
  | "broken"
  /** None of the keys made it, or the name of the key in it was changed. */
  | "other key";

/** Seals a finished backup. */
export async function sealBackup(path: string, key: Uint8Array): Promise<void> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    const head = Buffer.concat([mark, keyName(key)]);
    const seal = Buffer.concat([head, await hmacOf(file, size, head, key)]);
    await file.write(seal, 0, seal.length, size);
  } finally {
    await file.close();
  }
}

/**
 * Looks whether a copy of a backup is what was sealed, and takes the seal off: what is left is a database.
 * @param keys one of them should have made it
 */
export async function takeOffSeal(path: string, keys: readonly Uint8Array[]): Promise<SealFound> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    const content = size - sealSize;
    const seal = content > 0 ? await read(file, content, sealSize) : Buffer.alloc(0);
    if (!seal.subarray(0, mark.length).equals(mark)) return (await isMarked(file)) ? "broken" : "missing";
    const found = await compare(file, content, seal, keys);
    await file.truncate(content);
    return found;
  } finally {
    await file.close();
  }
}

/** Whether a file says that it is a backup, sealed by whatever key. */
export async function isBackup(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    return await isMarked(file);
  } finally {
    await file.close();
  }
}

async function compare(
  file: FileHandle,
  content: number,
  seal: Buffer,
  keys: readonly Uint8Array[],
): Promise<SealFound> {
  const head = seal.subarray(0, mark.length + keyNameSize);
  const key = keys.find((each) => keyName(each).equals(head.subarray(mark.length)));
  if (key === undefined) return "other key";
  const hmac = await hmacOf(file, content, head, key);
  return timingSafeEqual(hmac, seal.subarray(head.length)) ? "whole" : "broken";
}

async function isMarked(file: FileHandle): Promise<boolean> {
  const header = await read(file, 0, applicationIdOffset + 4);
  if (header.length < applicationIdOffset + 4 || !header.subarray(0, sqliteMagic.length).equals(sqliteMagic))
    return false;
  return header.readUInt32BE(applicationIdOffset) === backupApplicationId;
}

async function hmacOf(file: FileHandle, size: number, head: Uint8Array, key: Uint8Array): Promise<Buffer> {
  const hmac = createHmac("sha256", derived(key, "bmc-service backup seal", hmacSize));
  for (let at = 0; at < size; at += chunkSize) hmac.update(await read(file, at, Math.min(chunkSize, size - at)));
  return hmac.update(head).digest();
}

/** Tells keys apart, and nothing else of them. */
const keyName = (key: Uint8Array): Buffer => derived(key, "bmc-service backup key name", keyNameSize);

function derived(key: Uint8Array, purpose: string, size: number): Buffer {
  return Buffer.from(hkdfSync("sha256", key, new Uint8Array(), purpose, size));
}

/** Fewer bytes than asked only at the end of the file. */
async function read(file: FileHandle, at: number, size: number): Promise<Buffer> {
  const buffer = Buffer.alloc(size);
  let done = 0;
  while (done < size) {
    const { bytesRead } = await file.read(buffer, done, size - done, at + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return buffer.subarray(0, done);
}
