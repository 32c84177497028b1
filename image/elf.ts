/**
 * As much of ELF as packing a program needs: its interpreter, the libraries it names, and taking a hole out of it.
 * Source: System V ABI, chapters 4 and 5; 64-bit little-endian files only.
 */

import type { Range } from "./icu-data.ts";

const headerBytes = 64;
const programHeaderBytes = 56;
const sectionHeaderBytes = 64;
const segmentType = { load: 1, dynamic: 2, interpreter: 3, programHeaders: 6 } as const;
const sectionWithoutBytes = 8; // SHT_NOBITS
const dynamicTag = { end: 0, needed: 1, stringTable: 5 } as const;

interface Segment {
  type: number;
  flags: number;
  offset: number;
  address: number;
  fileBytes: number;
  memoryBytes: number;
  align: number;
}

interface Header {
  readonly programHeadersAt: number;
  readonly programHeaders: number;
  readonly sectionHeadersAt: number;
  readonly sectionHeaders: number;
}

const u64 = (bytes: Buffer, at: number): number => Number(bytes.readBigUInt64LE(at));
const writeU64 = (bytes: Buffer, at: number, value: number): number => bytes.writeBigUInt64LE(BigInt(value), at);

/** Whether these are the first bytes of an ELF file that the functions here can read. */
export function isElf64(bytes: Buffer): boolean {
  return bytes.length >= headerBytes && bytes.readUInt32BE(0) === 0x7f454c46 && bytes[4] === 2 && bytes[5] === 1;
}

/** e_machine: for which processor the program is. ELF-64 Object File Format, and the processors' supplements. */
export const elfMachine = (bytes: Buffer): number => bytes.readUInt16LE(18);

function readHeader(bytes: Buffer): Header {
  if (!isElf64(bytes)) throw new Error("ELF: not a 64-bit little-endian ELF file");
  if (bytes.readUInt16LE(54) !== programHeaderBytes) throw new Error("ELF: program headers of an unknown size");
  return {
    programHeadersAt: u64(bytes, 32),
    programHeaders: bytes.readUInt16LE(56),
    sectionHeadersAt: u64(bytes, 40),
    sectionHeaders: bytes.readUInt16LE(60),
  };
}

function readSegments(bytes: Buffer, header: Header): Segment[] {
  return Array.from({ length: header.programHeaders }, (_, index) => {
    const at = header.programHeadersAt + programHeaderBytes * index;
    return {
      type: bytes.readUInt32LE(at),
      flags: bytes.readUInt32LE(at + 4),
      offset: u64(bytes, at + 8),
      address: u64(bytes, at + 16),
      fileBytes: u64(bytes, at + 32),
      memoryBytes: u64(bytes, at + 40),
      align: u64(bytes, at + 48),
    };
  });
}

function writeSegment(bytes: Buffer, at: number, segment: Segment): void {
  bytes.writeUInt32LE(segment.type, at);
  bytes.writeUInt32LE(segment.flags, at + 4);
  writeU64(bytes, at + 8, segment.offset);
  writeU64(bytes, at + 16, segment.address);
  writeU64(bytes, at + 24, segment.address);
  writeU64(bytes, at + 32, segment.fileBytes);
  writeU64(bytes, at + 40, segment.memoryBytes);
  writeU64(bytes, at + 48, segment.align);
}

const zeroTerminated = (bytes: Buffer, at: number): string => bytes.toString("latin1", at, bytes.indexOf(0, at));

/** The program interpreter (the dynamic linker's path); undefined for a static program or a library. */
export function interpreter(bytes: Buffer): string | undefined {
  const segment = readSegments(bytes, readHeader(bytes)).find(({ type }) => type === segmentType.interpreter);
  return segment && zeroTerminated(bytes, segment.offset);
}

/** The names of the shared libraries a program or library asks for (DT_NEEDED), in its order. */
export function neededLibraries(bytes: Buffer): string[] {
  const segments = readSegments(bytes, readHeader(bytes));
  const dynamic = segments.find(({ type }) => type === segmentType.dynamic);
  if (!dynamic) return [];
  const entries: { tag: number; value: number }[] = [];
  for (let at = dynamic.offset; at < dynamic.offset + dynamic.fileBytes; at += 16) {
    const tag = u64(bytes, at);
    if (tag === dynamicTag.end) break;
    entries.push({ tag, value: u64(bytes, at + 8) });
  }
  const strings = entries.find(({ tag }) => tag === dynamicTag.stringTable)?.value;
  const holder = segments.find(
    ({ type, address, fileBytes }) =>
      type === segmentType.load && strings !== undefined && strings >= address && strings < address + fileBytes,
  );
  if (strings === undefined || !holder) throw new Error("ELF: the dynamic section has no string table");
  const stringsAt = strings - holder.address + holder.offset;
  return entries
    .filter(({ tag }) => tag === dynamicTag.needed)
    .map(({ value }) => zeroTerminated(bytes, stringsAt + value));
}

/**
 * Takes the whole pages of `hole` (offsets in the file, all zero) out of the file. The addresses of everything else stay;
 * those of the hole are not mapped any more. The loadable segment around it is split in two, which needs one more
 * program header: the table must have room behind it, as in a file that was rewritten by `node --build-sea`.
 * Returns the shorter file. Throws, naming the reason, when the file is not laid out that way.
 */
export function removeHole(bytes: Buffer, hole: Range): Buffer {
  const header = readHeader(bytes);
  const segments = readSegments(bytes, header);
  // The largest page that the program is made for: 4 KiB on x64, 64 KiB on arm64.
  const pageBytes = Math.max(...segments.filter(({ type }) => type === segmentType.load).map(({ align }) => align));
  const start = Math.ceil(hole.start / pageBytes) * pageBytes;
  const end = Math.floor(hole.end / pageBytes) * pageBytes;
  const gone = end - start;
  if (!(gone > 0)) throw new Error("ELF: the hole is smaller than a page");
  if (!isZero(bytes, start, end)) throw new Error("ELF: the hole is not empty");

  const around = segments.findIndex(
    ({ type, offset, fileBytes }) => type === segmentType.load && offset < start && offset + fileBytes > end,
  );
  const whole = segments[around];
  if (!whole) throw new Error("ELF: no loadable segment around the hole");
  if (whole.memoryBytes !== whole.fileBytes) throw new Error("ELF: the segment around the hole has memory of its own");
  requireRoom(bytes, header, segments);

  const moved = (offset: number): number => (offset >= end ? offset - gone : offset);
  const before: Segment = { ...whole, fileBytes: start - whole.offset, memoryBytes: start - whole.offset };
  const rest = whole.offset + whole.fileBytes - end;
  const after: Segment = {
    ...whole,
    offset: moved(end),
    address: whole.address + (end - whole.offset),
    fileBytes: rest,
    memoryBytes: rest,
  };
  const tableBytes = programHeaderBytes * (segments.length + 1);
  const split = segments.flatMap((segment, index) => {
    if (index === around) return [before, after];
    const size = segment.type === segmentType.programHeaders ? { fileBytes: tableBytes, memoryBytes: tableBytes } : {};
    return [{ ...segment, ...size, offset: moved(segment.offset) }];
  });

  const sections = splitSections(bytes, header, start, end);
  const out = Buffer.concat([bytes.subarray(0, start), bytes.subarray(end, header.sectionHeadersAt), sections]);
  const programHeadersAt = moved(header.programHeadersAt);
  for (const [index, segment] of split.entries()) {
    writeSegment(out, programHeadersAt + programHeaderBytes * index, segment);
  }
  writeU64(out, 32, programHeadersAt);
  out.writeUInt16LE(split.length, 56);
  writeU64(out, 40, header.sectionHeadersAt - gone);
  out.writeUInt16LE(sections.length / sectionHeaderBytes, 60);
  return out;
}

/**
 * One more program header must fit behind the table. `node --build-sea` gives the table a loadable segment of its own with
 * room to spare; what stands in that room are left-overs that no section and no other segment refers to.
 */
function requireRoom(bytes: Buffer, header: Header, segments: readonly Segment[]): void {
  const from = header.programHeadersAt + programHeaderBytes * header.programHeaders;
  const to = from + programHeaderBytes;
  const overlaps = (offset: number, size: number): boolean => offset < to && offset + size > from;
  const own = segments.findIndex(
    ({ type, offset, fileBytes }) =>
      type === segmentType.load && offset === header.programHeadersAt && to <= offset + fileBytes,
  );
  const taken =
    segments.some(({ offset, fileBytes }, index) => index !== own && overlaps(offset, fileBytes)) ||
    readSections(bytes, header).some(({ offset, size }) => overlaps(offset, size));
  if (own < 0 || taken) throw new Error("ELF: no room for another program header");
}

function readSections(bytes: Buffer, header: Header): { offset: number; size: number }[] {
  return Array.from({ length: header.sectionHeaders }, (_, index) => {
    const at = header.sectionHeadersAt + sectionHeaderBytes * index;
    const inFile = bytes.readUInt32LE(at + 4) !== sectionWithoutBytes;
    return { offset: u64(bytes, at + 24), size: inFile ? u64(bytes, at + 32) : 0 };
  });
}

function isZero(bytes: Buffer, start: number, end: number): boolean {
  return Buffer.alloc(end - start).equals(bytes.subarray(start, end));
}

/**
 * The section headers after the cut. The section around the hole becomes two; the second is appended, so that the
 * indices by which sections name each other stay right.
 */
function splitSections(bytes: Buffer, header: Header, start: number, end: number): Buffer {
  const tableEnd = header.sectionHeadersAt + sectionHeaderBytes * header.sectionHeaders;
  if (header.sectionHeadersAt < end || tableEnd !== bytes.length) {
    throw new Error("ELF: the section headers are not the end of the file; strip it first");
  }
  const table = Buffer.from(bytes.subarray(header.sectionHeadersAt, tableEnd));
  const added: Buffer[] = [];
  for (let at = 0; at < table.length; at += sectionHeaderBytes) {
    const [offset, size] = [u64(table, at + 24), u64(table, at + 32)];
    if (table.readUInt32LE(at + 4) === sectionWithoutBytes || offset + size <= start) {
      if (offset >= end) writeU64(table, at + 24, offset - (end - start));
    } else if (offset >= end) {
      writeU64(table, at + 24, offset - (end - start));
    } else if (offset <= start && offset + size >= end) {
      const second = Buffer.from(table.subarray(at, at + sectionHeaderBytes));
      writeU64(second, 16, u64(table, at + 16) + (end - offset));
      writeU64(second, 24, start);
      writeU64(second, 32, offset + size - end);
      added.push(second);
      writeU64(table, at + 32, start - offset);
    } else {
      throw new Error("ELF: a section begins or ends within the hole");
    }
  }
  return Buffer.concat([table, ...added]);
}
