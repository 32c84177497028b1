import { latin1 } from "../../ipmi/codec.ts";
import { DecodeError } from "../../ipmi/errors.ts";
import { isPlaceholder } from "../../ipmi/placeholder.ts";

/**
 * Characters of a text. The specification had 64 before version 2.7 and has no limit since; what is longer than this is
 * no name or number but a set of texts whose ends are missing, which nobody would accept in a report.
 */
export const longestText = 256;

/** One SMBIOS structure. SMBIOS 3.7 §6.1. */
export class Structure {
  /** Number of its kind. */
  readonly type: number;
  readonly handle: number;
  /** Where it begins in the table, for errors. */
  readonly offset: number;
  readonly #formatted: Uint8Array;
  readonly #strings: readonly string[];

  /** @param formatted the formatted area, its 4 bytes of header included */
  constructor(type: number, handle: number, offset: number, formatted: Uint8Array, strings: readonly string[]) {
    this.type = type;
    this.handle = handle;
    this.offset = offset;
    this.#formatted = formatted;
    this.#strings = strings;
  }

  /** Bytes of the formatted area: which fields there are depends on it, because newer versions append. */
  get length(): number {
    return this.#formatted.length;
  }

  /** Whether the `size` bytes from `at` on are there. */
  has(at: number, size = 1): boolean {
    return at + size <= this.#formatted.length;
  }

  /** @throws DecodeError if the structure ends before */
  bytes(at: number, size: number): Uint8Array {
    if (!this.has(at, size)) {
      const problem = `${size} bytes needed at ${hex(at)}, but the structure has ${this.#formatted.length}`;
      throw new DecodeError(this.name, this.offset + this.#formatted.length, problem);
    }
    return this.#formatted.slice(at, at + size);
  }

  /** @throws DecodeError */
  uint8(at: number): number {
    return this.bytes(at, 1)[0] ?? 0;
  }

  /** Least significant byte first. @throws DecodeError */
  uint64(at: number): bigint {
    const { buffer, byteOffset } = this.bytes(at, 8);
    return new DataView(buffer, byteOffset).getBigUint64(0, true);
  }

  /**
   * The text whose number stands at `at`, without blanks around it, cut to `longestText`. "" if the number is 0 (no text),
   * if the firmware numbers a text that is not there, if the structure is of an older version without the field, or if the
   * text stands for nothing ("To be filled by O.E.M.").
   */
  text(at: number): string {
    if (!this.has(at)) return "";
    const number = this.uint8(at);
    if (number === 0) return "";
    const text = (this.#strings[number - 1] ?? "").trim().slice(0, longestText).toWellFormed();
    return isPlaceholder(text) ? "" : text;
  }

  get name(): string {
    return structureName(this.type);
  }
}

function structureName(type: number): string {
  return `SMBIOS structure of type ${type}`;
}

function hex(value: number): string {
  return `${value.toString(16).toUpperCase().padStart(2, "0")}h`;
}

const endOfTable = 127;

/**
 * Reads the structures up to the end-of-table structure (type 127) or to `count` of them.
 * @param count how many there are, where the entry point tells
 * @throws DecodeError if the table ends before that: it was cut short
 */
export function parseStructures(table: Uint8Array, count: number | undefined): Structure[] {
  const structures: Structure[] = [];
  let at = 0;
  while (count === undefined || structures.length < count) {
    if (at === table.length) {
      const expected = count === undefined ? "the end-of-table structure" : `${count} structures`;
      const problem = `the table is cut short after ${structures.length} structures, before ${expected}`;
      throw new DecodeError("SMBIOS table", at, problem);
    }
    const { structure, end } = parseStructure(table, at);
    structures.push(structure);
    if (structure.type === endOfTable) break;
    at = end;
  }
  return structures;
}

function parseStructure(table: Uint8Array, start: number): { structure: Structure; end: number } {
  const type = table[start];
  const length = table[start + 1];
  const handleLow = table[start + 2];
  const handleHigh = table[start + 3];
  if (type === undefined || length === undefined || handleLow === undefined || handleHigh === undefined) {
    const name = type === undefined ? "SMBIOS structure" : structureName(type);
    throw new DecodeError(name, start, `cut short in its header: ${table.length - start} of 4 bytes`);
  }
  if (length < 4) {
    throw new DecodeError(structureName(type), start, `its length is ${length}, but the header alone has 4 bytes`);
  }
  if (start + length > table.length) {
    throw new DecodeError(structureName(type), start, `cut short: ${table.length - start} of ${length} bytes`);
  }
  const { strings, end } = parseStrings(table, start + length, type);
  const formatted = table.slice(start, start + length);
  return { structure: new Structure(type, handleLow | (handleHigh << 8), start, formatted, strings), end };
}

/**
 * The texts after the formatted area: each ends with 00h, all of them with one more; none at all is two. SMBIOS 3.7 §6.1.3.
 * The end is the first pair of zero bytes, whatever stands before: Linux and dmidecode find it so on firmware with slips.
 */
function parseStrings(table: Uint8Array, start: number, type: number): { strings: string[]; end: number } {
  let end = start;
  while (table[end] !== 0 || table[end + 1] !== 0) {
    if (end + 2 >= table.length) throw new DecodeError(structureName(type), start, "cut short in its texts");
    end += 1;
  }
  const strings: string[] = [];
  for (let at = start; end > start && at <= end; ) {
    const stop = table.indexOf(0, at);
    strings.push(decodeText(table.subarray(at, stop)));
    at = stop + 1;
  }
  return { strings, end: end + 2 };
}

/** UTF-8 as specified (§6.1.3); firmware that writes an 8-bit code instead shows by not being UTF-8. */
function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return latin1(bytes);
  }
}
