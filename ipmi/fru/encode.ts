import { EncodeError } from "../errors.ts";
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
import { encodeText, endOfFields, type FruEncoding, isEnglish } from "./text.ts";

/** A text in the usual encoding of its area (8-bit, or UTF-16 if the language is not English), or in one that is named. */
export type FruText = string | { readonly encoding: FruEncoding; readonly text: string };

/** What a FRU image is made from. Fields left out are written empty. */
export interface FruContent {
  readonly chassis?: FruTexts<"chassis", FruText> & { readonly chassisType?: number };
  readonly board?: FruTexts<"board", FruText> & { readonly language?: number; readonly manufacturingDate?: Date };
  readonly product?: FruTexts<"product", FruText> & { readonly language?: number };
}

/**
 * Builds a FRU image, the areas in a row after the header; for simulated BMCs.
 * @throws EncodeError for a text that does not fit, naming area and field
 */
export function encodeFru(content: FruContent): Uint8Array {
  const header = new Uint8Array(headerBytes);
  header[0] = formatVersion;
  const image: number[] = [];
  for (const name of fruAreaNames) {
    const area = encodeArea(name, content);
    if (area === undefined) continue;
    const offset = (headerBytes + image.length) / unitBytes;
    if (offset > 0xff) throw new EncodeError(`FRU ${name}`, "it begins beyond 2040 bytes");
    header[areaOffsetPosition[name]] = offset;
    for (const each of area) image.push(each);
  }
  return Uint8Array.from([...withChecksum(header), ...image]);
}

function encodeArea(name: FruAreaName, content: FruContent): Uint8Array | undefined {
  switch (name) {
    case "chassis": {
      const { chassis } = content;
      return chassis && finishArea(name, [byteOf(chassis.chassisType ?? 2, "FRU chassis type")], chassis, 0);
    }
    case "board": {
      const { board } = content;
      if (board === undefined) return undefined;
      const language = byteOf(board.language ?? 0, "FRU board language");
      return finishArea(name, [language, ...encodeDate(board.manufacturingDate)], board, language);
    }
    case "product": {
      const { product } = content;
      if (product === undefined) return undefined;
      const language = byteOf(product.language ?? 0, "FRU product language");
      return finishArea(name, [language], product, language);
    }
    default:
      return name satisfies never;
  }
}

function byteOf(value: number, where: string): number {
  if (!Number.isInteger(value) || value < 0 || value > 255) throw new EncodeError(where, `${value} is no byte`);
  return value;
}

/** Whole minutes since 1996 in three bytes; 0 is "unspecified". */
function encodeDate(date: Date | undefined): number[] {
  const minutes = date === undefined ? 0 : (date.getTime() - dateEpochMs) / 60_000;
  if (!Number.isInteger(minutes) || minutes < 0 || minutes > 0xffffff) {
    throw new EncodeError("FRU board manufacturing date", "it is not a whole minute from 1996 to 2027");
  }
  return [minutes & 0xff, (minutes >> 8) & 0xff, minutes >> 16];
}

function finishArea(
  area: FruAreaName,
  fixed: readonly number[],
  texts: Readonly<Record<string, unknown>>,
  language: number,
): Uint8Array {
  const layout: readonly FruFieldLayout[] = areaLayouts[area].fields;
  const body = [formatVersion, 0, ...fixed];
  const add = (value: FruText, where: string, english: boolean) => {
    const plain = typeof value === "string";
    const usual: FruEncoding = english ? "latin1" : "utf16le";
    body.push(...encodeText(plain ? value : value.text, plain ? usual : value.encoding, where));
  };
  for (const { name, alwaysEnglish } of layout) {
    const value = texts[name] as FruText | undefined;
    add(value ?? "", `FRU ${area} ${name}`, isEnglish(language) || alwaysEnglish === true);
  }
  for (const value of (texts.custom ?? []) as readonly FruText[]) add(value, `FRU ${area} custom`, isEnglish(language));
  body.push(endOfFields);
  const units = Math.ceil((body.length + 1) / unitBytes);
  if (units > 0xff) throw new EncodeError(`FRU ${area}`, `${body.length} bytes, at most ${0xff * unitBytes} fit`);
  const data = new Uint8Array(units * unitBytes);
  data.set(body);
  data[1] = units;
  return withChecksum(data);
}

function withChecksum(data: Uint8Array): Uint8Array {
  data[data.length - 1] = (0x100 - checksumRemainder(data)) & 0xff;
  return data;
}
