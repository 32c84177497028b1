import { DecodeError } from "../../ipmi/errors.ts";

/** Version of the SMBIOS specification that the firmware follows. */
export interface SmbiosVersion {
  readonly major: number;
  readonly minor: number;
}

/** What leads to the structures. SMBIOS 3.7 §5.2. */
export interface EntryPoint {
  readonly kind: "32-bit" | "64-bit";
  readonly version: SmbiosVersion;
  /** Bytes of all structures: exact in a 32-bit entry point, an upper bound in a 64-bit one. */
  readonly tableBytes: number;
  /** How many structures there are; only a 32-bit entry point tells. */
  readonly structureCount?: number;
}

const what = "SMBIOS entry point";

/**
 * Reads a 32-bit (`_SM_`) or 64-bit (`_SM3_`) entry point.
 * @throws DecodeError for another anchor, a wrong checksum or missing bytes
 */
export function parseEntryPoint(data: Uint8Array): EntryPoint {
  if (startsWith(data, 0, "_SM3_")) return parse64Bit(data);
  if (startsWith(data, 0, "_SM_")) return parse32Bit(data);
  throw new DecodeError(what, 0, `${data.length} bytes begin with neither _SM_ nor _SM3_`);
}

/** SMBIOS 3.7 §5.2.1. */
function parse32Bit(data: Uint8Array): EntryPoint {
  // 1Eh instead of 1Fh is the slip of version 2.1 that the specification itself mentions.
  const length = checkedLength(data, 0x05, 0x1e);
  checkSum(data, 0, length, "checksum");
  if (!startsWith(data, 0x10, "_DMI_")) throw new DecodeError(what, 0x10, "the intermediate anchor is not _DMI_");
  checkSum(data, 0x10, 0x0f, "intermediate checksum");
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return {
    kind: "32-bit",
    version: plausible({ major: view.getUint8(0x06), minor: view.getUint8(0x07) }),
    tableBytes: view.getUint16(0x16, true),
    structureCount: view.getUint16(0x1c, true),
  };
}

/** SMBIOS 3.7 §5.2.2. */
function parse64Bit(data: Uint8Array): EntryPoint {
  checkSum(data, 0, checkedLength(data, 0x06, 0x18), "checksum");
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return {
    kind: "64-bit",
    version: { major: view.getUint8(0x07), minor: view.getUint8(0x08) },
    tableBytes: view.getUint32(0x0c, true),
  };
}

/** Firmware was seen that wrote 2.31 for 2.3.1, 2.33 for 2.3.3 and 2.51 for 2.5.1; the last follows 2.6. Linux reads them so too. */
function plausible(version: SmbiosVersion): SmbiosVersion {
  if (version.major !== 2) return version;
  if (version.minor === 31 || version.minor === 33) return { major: 2, minor: 3 };
  if (version.minor === 51) return { major: 2, minor: 6 };
  return version;
}

function checkedLength(data: Uint8Array, at: number, atLeast: number): number {
  const length = data[at];
  if (length === undefined) throw new DecodeError(what, data.length, `cut short: ${data.length} bytes`);
  if (length < atLeast) throw new DecodeError(what, at, `its length is ${length}, at least ${atLeast} are needed`);
  if (data.length < length) {
    throw new DecodeError(what, data.length, `cut short: ${data.length} of ${length} bytes`);
  }
  return length;
}

function checkSum(data: Uint8Array, from: number, length: number, name: string): void {
  let sum = 0;
  for (const each of data.subarray(from, from + length)) sum = (sum + each) & 0xff;
  if (sum !== 0) throw new DecodeError(what, from, `the ${name} is wrong: the bytes add up to ${sum}, not to 0`);
}

function startsWith(data: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i += 1) {
    if (data[at + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}
