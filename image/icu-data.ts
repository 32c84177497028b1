/**
 * Cuts ICU's common data file to the locales root and en, in place.
 *
 * Node carries the data of 700 locales in its read-only section: 33 of 116 MB. Neither program of this project formats
 * text for people in other languages, and a ramdisk pays for every byte twice (download and memory).
 * Layout: ICU's `source/common/ucmndata.h` (UDataOffsetTOC) and `unicode/udata.h` (UDataInfo), little-endian form.
 */

/** One file within the common data. `start` counts from the table of contents, in bytes. */
export interface IcuItem {
  readonly name: string;
  readonly start: number;
}

export interface IcuData {
  /** Offset of the 16-bit header size, in bytes from the start of the searched bytes. */
  readonly header: number;
  /** Offset of the table of contents: a 32-bit count, then pairs of (name offset, data offset). */
  readonly toc: number;
  readonly items: readonly IcuItem[];
}

/** Where bytes became empty: [start, end) in bytes from the start of the file. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

const dataFormat = Buffer.from("CmnD", "latin1");
const formatOffset = 12; // headerSize 2, magic 2, UDataInfo up to dataFormat 8
const alignment = 16;

/** The common data in these bytes; undefined when there is none. Throws when there are two or the table is damaged. */
export function findIcuData(bytes: Buffer): IcuData | undefined {
  let found: IcuData | undefined;
  for (let at = bytes.indexOf(dataFormat); at >= 0; at = bytes.indexOf(dataFormat, at + 1)) {
    const header = at - formatOffset;
    if (header < 0 || bytes[header + 2] !== 0xda || bytes[header + 3] !== 0x27) continue;
    if (bytes[header + 8] !== 0) throw new Error("ICU data: big-endian data in a little-endian program");
    if (found) throw new Error(`ICU data: found twice, at ${found.header} and ${header}`);
    found = readToc(bytes, header);
  }
  return found;
}

function readToc(bytes: Buffer, header: number): IcuData {
  const toc = header + bytes.readUInt16LE(header);
  const count = bytes.readUInt32LE(toc);
  const items: IcuItem[] = [];
  for (let index = 0; index < count; index++) {
    const entry = toc + 4 + 8 * index;
    const nameAt = toc + bytes.readUInt32LE(entry);
    const start = bytes.readUInt32LE(entry + 4);
    const nameEnd = bytes.indexOf(0, nameAt);
    const previous = items.at(-1);
    if (nameEnd < 0 || nameEnd - nameAt > 200) throw new Error(`ICU data: item ${index} of ${count} has no name`);
    if (previous && start <= previous.start) throw new Error(`ICU data: item ${index} of ${count} is out of order`);
    if (toc + start > bytes.length) throw new Error(`ICU data: item ${index} of ${count} starts past the end`);
    items.push({ name: bytes.toString("latin1", nameAt, nameEnd), start });
  }
  if (items.length === 0) throw new Error("ICU data: the table of contents is empty");
  return { header, toc, items };
}

/**
 * Whether the locales root and en need this item. `name` is as in the table: "icudt78l/curr/en.res".
 * Kept: properties, normalisation, time zones, numbers, collation of root. Dropped: other locales, legacy character sets
 * (TextDecoder still knows UTF-8, UTF-16 and Latin-1), transliteration, dictionaries, StringPrep, character names.
 */
export function neededForEnglish(name: string): boolean {
  const path = name.split("/").slice(1);
  const file = path.at(-1) ?? "";
  if (path[0] === "translit" || file === "unames.icu") return false;
  if (/\.(cnv|spp|cfu|dict)$/.test(file)) return false;
  if (!file.endsWith(".res") || file === "res_index.res") return true;
  const bundle = file.slice(0, -".res".length);
  const isLocale = /^[a-z]{2,3}(_.*)?$/.test(bundle);
  return !isLocale || bundle === "en" || bundle === "en_US";
}

/**
 * Rewrites the table to the items that `keep` accepts, moves those together and fills what is free with zeros.
 * The last item of the table has no length of its own, so its bytes stay where they are and end the freed range.
 * Returns the freed range. Throws when nothing would be kept.
 */
export function shrinkIcuData(bytes: Buffer, data: IcuData, keep: (name: string) => boolean): Range {
  const kept = data.items.flatMap((item, index) => {
    const next = data.items[index + 1];
    if (!keep(item.name)) return [];
    if (!next) throw new Error(`ICU data: cannot keep ${item.name}: the last item has no length`);
    return [{ name: item.name, body: Buffer.from(bytes.subarray(data.toc + item.start, data.toc + next.start)) }];
  });
  if (kept.length === 0) throw new Error("ICU data: none of the items is to be kept");

  const last = data.items[data.items.length - 1];
  if (!last) throw new Error("ICU data: the table of contents is empty");
  const end = data.toc + last.start;
  bytes.fill(0, data.toc, end);

  bytes.writeUInt32LE(kept.length, data.toc);
  let at = data.toc + 4 + 8 * kept.length;
  for (const [index, { name }] of kept.entries()) {
    bytes.writeUInt32LE(at - data.toc, data.toc + 4 + 8 * index);
    at += bytes.write(name, at, "latin1") + 1;
  }
  for (const [index, { body }] of kept.entries()) {
    // Bodies want 16 bytes of alignment in memory; the header is aligned, so offsets from it are what counts.
    at = data.header + Math.ceil((at - data.header) / alignment) * alignment;
    bytes.writeUInt32LE(at - data.toc, data.toc + 4 + 8 * index + 4);
    body.copy(bytes, at);
    at += body.length;
  }
  if (at > end) throw new Error("ICU data: the shortened data is longer than the whole");
  return { start: at, end };
}
