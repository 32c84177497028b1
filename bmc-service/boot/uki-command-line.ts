/**
 * Puts a kernel command line into a unified kernel image (UKI), a UEFI program with a section of that name.
 * Source: UAPI.5 Unified Kernel Image; Microsoft PE Format.
 */

const peOffsetAt = 0x3c;
const signature = 0x0000_4550; // "PE\0\0"
const coffBytes = 24; // with the signature
const pe32Plus = 0x20b;
const sectionHeaderBytes = 40;
/** Directories begin there in the optional header of a 64-bit program; the fifth tells where the signatures are. */
const securityDirectoryAt = 112 + 8 * 4;

/** Of the whole program in memory. */
const imageSizeAt = 56;

/** What a UKI says of itself. */
export interface UkiCommandLine {
  /** As it was built. */
  readonly text: string;
  readonly isSigned: boolean;
  /** Of its section header in the file. */
  readonly headerAt: number;
  /** Bytes that it may have in memory. */
  readonly room: number;
  readonly fileAlignment: number;
}

/** Something is no unified kernel image. */
export class UkiError extends Error {
  override readonly name = "UkiError";
  readonly code = "uki";
}

/** @throws UkiError */
export function readUkiCommandLine(bytes: Buffer): UkiCommandLine {
  const coff = bytes.length > peOffsetAt + 4 ? bytes.readUInt32LE(peOffsetAt) : bytes.length;
  if (coff + coffBytes + 240 > bytes.length || bytes.readUInt32LE(coff) !== signature) {
    throw new UkiError("it is no UEFI program");
  }
  const optional = coff + coffBytes;
  if (bytes.readUInt16LE(optional) !== pe32Plus) throw new UkiError("it is no 64-bit UEFI program");
  const sectionsAt = optional + bytes.readUInt16LE(coff + 20);
  const count = bytes.readUInt16LE(coff + 6);
  if (sectionsAt + count * sectionHeaderBytes > bytes.length) throw new UkiError("it is cut off");
  const headers = Array.from({ length: count }, (_, i) => sectionsAt + i * sectionHeaderBytes);
  const headerAt = headers.find((at) => bytes.toString("latin1", at, at + 8).replace(/\0+$/, "") === ".cmdline");
  if (headerAt === undefined) throw new UkiError("it has no section .cmdline");
  const address = bytes.readUInt32LE(headerAt + 12);
  const later = headers.map((at) => bytes.readUInt32LE(at + 12)).filter((each) => each > address);
  const from = bytes.readUInt32LE(headerAt + 20);
  const size = Math.min(bytes.readUInt32LE(headerAt + 8), bytes.readUInt32LE(headerAt + 16));
  if (from + size > bytes.length) throw new UkiError("it is cut off");
  return {
    text: bytes.toString("latin1", from, from + size).replace(/[\0\s]+$/, ""),
    isSigned: bytes.readUInt32LE(optional + securityDirectoryAt + 4) !== 0,
    headerAt,
    room: Math.min(...later, bytes.readUInt32LE(optional + imageSizeAt)) - address,
    fileAlignment: bytes.readUInt32LE(optional + 36),
  };
}

/**
 * The same image with another command line, which stands at the end of the file.
 * @throws UkiError if it does not fit, or the image is signed: the signature would not hold any more
 */
export function withCommandLine(bytes: Buffer, text: string): Buffer {
  const { isSigned, headerAt, room, fileAlignment } = readUkiCommandLine(bytes);
  if (isSigned) throw new UkiError("it is signed: its command line cannot be changed");
  const line = Buffer.from(text, "latin1");
  if (line.length > room) throw new UkiError(`it has room for a command line of ${room} bytes, not of ${line.length}`);
  const aligned = (size: number) => Math.ceil(size / fileAlignment) * fileAlignment;
  const at = aligned(bytes.length);
  const changed = Buffer.alloc(at + aligned(line.length));
  bytes.copy(changed);
  line.copy(changed, at);
  changed.writeUInt32LE(line.length, headerAt + 8);
  changed.writeUInt32LE(aligned(line.length), headerAt + 16);
  changed.writeUInt32LE(at, headerAt + 20);
  return changed;
}
