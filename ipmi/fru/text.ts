import { latin1 } from "../codec.ts";
import { EncodeError } from "../errors.ts";

/**
 * The text of FRU fields. Platform Management FRU Information Storage Definition v1.0 rev 1.3, §13 (type/length byte).
 * Bits 7:6 are the encoding, 5:0 the number of bytes; C1h ends the list of fields.
 */
export const endOfFields = 0xc1;

/** The most bytes that a field can hold. */
export const maxFieldBytes = 63;

/** Encodings by their two bits; 11b is 8-bit text in English, otherwise UTF-16. */
export type FruEncoding = "binary" | "bcdPlus" | "sixBit" | "latin1" | "utf16le";

/** English as language code, either of two. Table 15-1. */
export function isEnglish(language: number): boolean {
  return language === 0 || language === 25;
}

/** Japanese, Korean and Chinese, whose UTF-16 may consist of nothing but bytes of printable ASCII. Table 15-1. */
const ideographic: ReadonlySet<number> = new Set([53, 61, 135]);

/**
 * Makers put any number into the language byte and write ASCII all the same, and ipmitool never looks at it. UTF-16 of
 * other scripts has bytes below 20h in every second place, so that a text of printable ASCII alone is none.
 */
function isPrintableAscii(byte: number): boolean {
  return byte >= 0x20 && byte <= 0x7e;
}

/** Nibbles A-C are the specification's; for D-F, which it reserves, ipmitool's characters, so that both show the same. */
const bcdPlus = "0123456789 -.:,_";

/** What makers fill fields up with: seen are 00h, FFh, FEh, 10h, 03h and blanks. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const padding = /[\x00\x03\x10 \xfe\xff\ufffe\uffff]+$/u;

/**
 * Decodes one field; fill at its end is dropped. Binary becomes hexadecimal digits.
 * @param type the two bits of the type/length byte
 * @param language of the area; some fields are English whatever it says
 */
export function decodeText(type: number, data: Uint8Array, language: number, alwaysEnglish: boolean): string {
  switch (type) {
    case 0:
      return Array.from(data, (each) => each.toString(16).padStart(2, "0")).join("");
    case 1:
      return Array.from(data, (each) => `${bcdPlus[each >> 4]}${bcdPlus[each & 0x0f]}`)
        .join("")
        .replace(padding, "");
    case 2:
      return decodeSixBit(data).replace(padding, "");
    default: {
      const wide =
        !isEnglish(language) &&
        data.length % 2 === 0 &&
        (alwaysEnglish ? looksWide(data) : ideographic.has(language) || !data.every(isPrintableAscii));
      return (wide ? new TextDecoder("utf-16le").decode(data) : latin1(data)).replace(padding, "");
    }
  }
}

/** Makers write UTF-16 into fields that are always English, too: then every second byte is 00h. */
function looksWide(data: Uint8Array): boolean {
  return data.length > 0 && data.every((each, i) => (i % 2 === 1 ? each === 0 : each !== 0));
}

/** Four characters of 20h-5Fh in three bytes, the first in the least significant bits. */
function decodeSixBit(data: Uint8Array): string {
  let text = "";
  let bits = 0;
  let held = 0;
  for (const each of data) {
    bits |= each << held;
    for (held += 8; held >= 6; held -= 6) {
      text += String.fromCharCode(0x20 + (bits & 0x3f));
      bits >>= 6;
    }
  }
  return text;
}

/**
 * Encodes one field with its type/length byte.
 * @param where for the error: "board manufacturer"
 * @throws EncodeError if the encoding lacks a character or 63 bytes are not enough
 */
export function encodeText(text: string, encoding: FruEncoding, where: string): number[] {
  const data = encodeCharacters(text, encoding, where);
  // A single 8-bit character would have the type/length byte C1h, the end of the list.
  if (encoding === "latin1" && data.length === 1) data.push(0);
  if (data.length > maxFieldBytes) throw new EncodeError(where, `${data.length} bytes, at most ${maxFieldBytes} fit`);
  const type = { binary: 0, bcdPlus: 1, sixBit: 2, latin1: 3, utf16le: 3 }[encoding];
  return [(type << 6) | data.length, ...data];
}

function encodeCharacters(text: string, encoding: FruEncoding, where: string): number[] {
  const lacking = (character: string) => new EncodeError(where, `${encoding} has no ${JSON.stringify(character)}`);
  switch (encoding) {
    case "binary": {
      if (!/^(?:[0-9a-f]{2})*$/i.test(text))
        throw new EncodeError(where, "binary is written in pairs of hexadecimal digits");
      return (text.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16));
    }
    case "bcdPlus": {
      const nibbles = Array.from(text.length % 2 === 0 ? text : `${text} `, (character) => {
        const nibble = bcdPlus.indexOf(character);
        if (nibble === -1) throw lacking(character);
        return nibble;
      });
      return nibbles.flatMap((nibble, i) => (i % 2 === 0 ? [(nibble << 4) | (nibbles[i + 1] ?? 0)] : []));
    }
    case "sixBit": {
      const data = new Array<number>(Math.ceil((text.length * 6) / 8)).fill(0);
      Array.from(text).forEach((character, i) => {
        const code = character.charCodeAt(0) - 0x20;
        if (code < 0 || code > 0x3f) throw lacking(character);
        const at = (i * 6) >> 3;
        const shifted = code << ((i * 6) & 7);
        data[at] = (data[at] ?? 0) | (shifted & 0xff);
        if (shifted > 0xff) data[at + 1] = (data[at + 1] ?? 0) | (shifted >> 8);
      });
      return data;
    }
    case "latin1":
      return Array.from(text, (character) => {
        const code = character.codePointAt(0) ?? 0;
        if (code > 0xff) throw lacking(character);
        return code;
      });
    case "utf16le":
      return Array.from({ length: text.length * 2 }, (_, i) => (text.charCodeAt(i >> 1) >> (8 * (i & 1))) & 0xff);
    default:
      return encoding satisfies never;
  }
}
