/**
 * As much of PE, the form of UEFI programs, as it takes to add sections to one.
 * Source: Microsoft PE Format; UEFI specification 2.10 §2.1.1.
 */

export interface PeSection {
  /** At most eight bytes. */
  readonly name: string;
  readonly body: Buffer;
}

/** Where a section lies in the file. Bytes; `fileBytes` is a multiple of the file alignment, filled up with zeros. */
export interface PeSectionPlace {
  readonly name: string;
  readonly offset: number;
  readonly fileBytes: number;
}

const peOffsetAt = 0x3c;
const signature = 0x0000_4550; // "PE\0\0"
const coffBytes = 24; // with the signature
const pe32Plus = 0x20b;
const sectionHeaderBytes = 40;
const securityDirectory = 4;
const pageBytes = 4096;
/** Initialized data, readable. */
const dataSection = 0x4000_0040;

/** Positions in the file. */
interface Header {
  readonly coff: number;
  readonly optional: number;
  readonly sections: number;
  readonly sectionCount: number;
  readonly fileAlignment: number;
  readonly sectionAlignment: number;
  readonly headersBytes: number;
}

const alignedTo = (value: number, alignment: number): number => Math.ceil(value / alignment) * alignment;

function readHeader(bytes: Buffer): Header {
  const coff = bytes.length > peOffsetAt + 4 ? bytes.readUInt32LE(peOffsetAt) : bytes.length;
  if (coff + coffBytes + 240 > bytes.length || bytes.readUInt32LE(coff) !== signature) {
    throw new Error("PE: not a UEFI program");
  }
  const optional = coff + coffBytes;
  if (bytes.readUInt16LE(optional) !== pe32Plus) throw new Error("PE: not a 64-bit program");
  return {
    coff,
    optional,
    sections: optional + bytes.readUInt16LE(coff + 20),
    sectionCount: bytes.readUInt16LE(coff + 6),
    sectionAlignment: bytes.readUInt32LE(optional + 32),
    fileAlignment: bytes.readUInt32LE(optional + 36),
    headersBytes: bytes.readUInt32LE(optional + 60),
  };
}

/** The sections in the order of their headers. @throws Error for what is no 64-bit PE file */
export function peSections(bytes: Buffer): PeSectionPlace[] {
  const { sections, sectionCount } = readHeader(bytes);
  return Array.from({ length: sectionCount }, (_, index) => {
    const at = sections + sectionHeaderBytes * index;
    const name = bytes.toString("latin1", at, at + 8).replace(/\0+$/, "");
    return { name, offset: bytes.readUInt32LE(at + 20), fileBytes: bytes.readUInt32LE(at + 16) };
  });
}

/**
 * The program with these sections behind its own, and without symbols; each begins on a page of its own in memory.
 * @throws Error when it is signed already, when its header has no room, or when a name is too long
 */
export function addPeSections(program: Buffer, added: readonly PeSection[]): Buffer {
  const header = readHeader(program);
  if (program.readUInt32LE(header.optional + 112 + 8 * securityDirectory + 4) !== 0) {
    throw new Error("PE: the program is signed; sections can only be added before that");
  }
  const sectionsEnd = header.sections + sectionHeaderBytes * (header.sectionCount + added.length);
  if (sectionsEnd > header.headersBytes) {
    throw new Error(`PE: the header has no room for ${added.length} more sections`);
  }
  const head = Buffer.from(program.subarray(0, header.headersBytes));
  // Symbols behind the sections go: a gap between sections would be no part of what a signature covers.
  const own = program.subarray(0, Math.max(...peSections(program).map(({ offset, fileBytes }) => offset + fileBytes)));
  head.writeBigUInt64LE(0n, header.coff + 12); // where the symbols are, and how many
  const pieces = [head, own.subarray(header.headersBytes)];
  let fileEnd = own.length;
  let memoryEnd = memoryEndOf(program, header);
  for (const [index, { name, body }] of added.entries()) {
    if (Buffer.byteLength(name) > 8) throw new Error(`PE: the section name ${name} is longer than 8 bytes`);
    const offset = alignedTo(fileEnd, header.fileAlignment);
    const fileBytes = alignedTo(body.length, header.fileAlignment);
    const address = alignedTo(memoryEnd, Math.max(pageBytes, header.sectionAlignment));
    const at = header.sections + sectionHeaderBytes * (header.sectionCount + index);
    head.write(name, at, "latin1");
    head.writeUInt32LE(body.length, at + 8);
    head.writeUInt32LE(address, at + 12);
    head.writeUInt32LE(fileBytes, at + 16);
    head.writeUInt32LE(offset, at + 20);
    head.writeUInt32LE(dataSection, at + 36);
    pieces.push(Buffer.alloc(offset - fileEnd), body, Buffer.alloc(fileBytes - body.length));
    fileEnd = offset + fileBytes;
    memoryEnd = address + body.length;
  }
  head.writeUInt16LE(header.sectionCount + added.length, header.coff + 6);
  head.writeUInt32LE(alignedTo(memoryEnd, header.sectionAlignment), header.optional + 56);
  head.writeUInt32LE(0, header.optional + 64); // the checksum, which UEFI does not look at
  return Buffer.concat(pieces);
}

function memoryEndOf(bytes: Buffer, { sections, sectionCount }: Header): number {
  const ends = Array.from({ length: sectionCount }, (_, index) => {
    const at = sections + sectionHeaderBytes * index;
    return bytes.readUInt32LE(at + 12) + bytes.readUInt32LE(at + 8);
  });
  return Math.max(0, ...ends);
}
