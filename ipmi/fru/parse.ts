import { DecodeError } from "../errors.ts";
import { isPlaceholder } from "../placeholder.ts";
import {
  areaLayouts,
  areaOffsetPosition,
  checksumRemainder,
  dateEpochMs,
  type FruAreaName,
  type FruFieldLayout,
  type FruTexts,
  formatVersion,
  fruAreaNames,
  headerBytes,
  unitBytes,
} from "./layout.ts";
import { decodeText, endOfFields } from "./text.ts";

/** What is wrong with a FRU that could be read all the same. */
export interface FruProblem {
  readonly area: "header" | FruAreaName;
  /**
   * "checksum": the data is kept, trust it less. "offset": the area begins outside the image. "version": not 1.
   * "length": the area is empty or longer than the image. "fields": a field runs over the end, or the end mark is missing.
   */
  readonly kind: "checksum" | "offset" | "version" | "length" | "fields";
  readonly detail: string;
}

export interface FruChassis extends FruTexts<"chassis"> {
  /** SMBIOS chassis type (DSP0134 §7.4.1). */
  readonly chassisType: number;
}

export interface FruBoard extends FruTexts<"board"> {
  /** 0 and 25 are English. */
  readonly language: number;
  /** Left out if unspecified. */
  readonly manufacturingDate?: Date;
}

export interface FruProduct extends FruTexts<"product"> {
  readonly language: number;
}

/** A FRU image, or the reason why there is none in it. */
export type Fru =
  | {
      readonly state: "present";
      readonly chassis?: FruChassis;
      readonly board?: FruBoard;
      readonly product?: FruProduct;
      readonly problems: readonly FruProblem[];
    }
  | { readonly state: "absent"; readonly reason: "header all zero" | "header all FFh" | "header version 0" | "size 0" };

/**
 * Reads header, chassis, board and product areas of a FRU image. Bad checksums, offsets and lengths are listed in `problems`,
 * and what can be read is. Texts that stand for nothing ("To Be Filled By O.E.M.") are "".
 * @throws DecodeError if the image is no FRU: shorter than its header, or of an unknown version
 */
export function parseFru(image: Uint8Array): Fru {
  return parseFruFrom((start, end) => image.subarray(start, end), image.length);
}

/**
 * The same for an image that is known in parts.
 * @param read the bytes from `start` to `end`, fewer if not all are known
 * @param size of the whole image
 */
export function parseFruFrom(read: (start: number, end: number) => Uint8Array, size: number): Fru {
  if (size === 0) return { state: "absent", reason: "size 0" };
  const header = read(0, headerBytes);
  if (header.length < headerBytes) {
    throw new DecodeError("FRU header", header.length, `${headerBytes} bytes needed, ${header.length} there`);
  }
  if (header.every((each) => each === 0)) return { state: "absent", reason: "header all zero" };
  if (header.every((each) => each === 0xff)) return { state: "absent", reason: "header all FFh" };
  const version = (header[0] ?? 0) & 0x0f;
  if (version === 0) return { state: "absent", reason: "header version 0" };
  if (version !== formatVersion) throw new DecodeError("FRU header", 0, `unknown format version ${version}`);

  const problems: FruProblem[] = [];
  if (checksumRemainder(header) !== 0) {
    problems.push({ area: "header", kind: "checksum", detail: "the bytes do not sum up to 0" });
  }
  const areas: { chassis?: FruChassis; board?: FruBoard; product?: FruProduct } = {};
  for (const name of fruAreaNames) {
    const data = areaData(name, header, read, size, problems);
    if (data === undefined) continue;
    switch (name) {
      case "chassis":
        areas.chassis = { chassisType: data[2] ?? 0, ...areaTexts(name, data, 0, problems) };
        break;
      case "board":
        areas.board = {
          language: data[2] ?? 0,
          ...manufacturingDate(data),
          ...areaTexts(name, data, data[2] ?? 0, problems),
        };
        break;
      case "product":
        areas.product = { language: data[2] ?? 0, ...areaTexts(name, data, data[2] ?? 0, problems) };
        break;
      default:
        name satisfies never;
    }
  }
  return { state: "present", ...areas, problems };
}

/** The bytes of an area without its checksum; undefined if it is not there or too short to hold anything. */
function areaData(
  area: FruAreaName,
  header: Uint8Array,
  read: (start: number, end: number) => Uint8Array,
  size: number,
  problems: FruProblem[],
): Uint8Array | undefined {
  const start = (header[areaOffsetPosition[area]] ?? 0) * unitBytes;
  if (start === 0) return undefined;
  if (start >= size) {
    problems.push({ area, kind: "offset", detail: `it begins at ${start}, the image has ${size} bytes` });
    return undefined;
  }
  const [version = 0, units = 0] = read(start, start + 2);
  if ((version & 0x0f) !== formatVersion) {
    problems.push({ area, kind: "version", detail: `format version ${version & 0x0f} instead of ${formatVersion}` });
  }
  const length = units * unitBytes;
  const data = read(start, Math.min(start + length, size));
  if (length === 0 || data.length < length) {
    problems.push({ area, kind: "length", detail: `${length} bytes long, ${data.length} of them there` });
  } else if (checksumRemainder(data) !== 0) {
    problems.push({ area, kind: "checksum", detail: "the bytes do not sum up to 0" });
  }
  if (data.length < areaLayouts[area].fixedBytes) return undefined;
  return data.length < length ? data : data.subarray(0, length - 1);
}

/** Below 800 minutes it is noise: nobody made servers on the first day of 1996. */
function manufacturingDate(data: Uint8Array): { manufacturingDate?: Date } {
  const minutes = (data[3] ?? 0) | ((data[4] ?? 0) << 8) | ((data[5] ?? 0) << 16);
  return minutes < 800 ? {} : { manufacturingDate: new Date(dateEpochMs + minutes * 60_000) };
}

function areaTexts<A extends FruAreaName>(
  area: A,
  data: Uint8Array,
  language: number,
  problems: FruProblem[],
): FruTexts<A> {
  const layout: { fixedBytes: number; fields: readonly FruFieldLayout[] } = areaLayouts[area];
  const texts: Record<string, string | string[]> = {};
  const custom: string[] = [];
  let at = layout.fixedBytes;
  for (let index = 0; ; index += 1) {
    const typeLength = data[at];
    if (typeLength === endOfFields) break;
    const length = (typeLength ?? 0) & 0x3f;
    if (typeLength === undefined || at + 1 + length > data.length) {
      problems.push({ area, kind: "fields", detail: `field ${index + 1} runs over the end of the area` });
      // Without an end mark, the 00h that fill up the area read as empty fields.
      while (custom.at(-1) === "") custom.pop();
      break;
    }
    const field = layout.fields[index];
    const bytes = data.subarray(at + 1, at + 1 + length);
    const written = decodeText(typeLength >> 6, bytes, language, field?.alwaysEnglish === true);
    // Binary data is no text, whatever its digits look like.
    const text = typeLength >> 6 !== 0 && isPlaceholder(written) ? "" : written;
    if (field === undefined) custom.push(text);
    else texts[field.name] = text;
    at += 1 + length;
  }
  if (custom.length > 0) texts.custom = custom;
  return texts as FruTexts<A>;
}
