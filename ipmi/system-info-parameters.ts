import { DecodeError, EncodeError } from "./errors.ts";

/** Operating System Name: a text that the BMC forgets when it restarts. IPMI 2.0 table 22-16c, parameter 4. */
export const operatingSystemName = 4;

/** What the first part of a text holds, characters. */
export const firstPartCharacters = 14;

/** The first part of a text: set selector, encoding, length, and so much of the text as fits. */
const partBytes = 3 + firstPartCharacters;
const what = "System Info parameter";

/**
 * The first part of a text as it is set.
 * @throws EncodeError if it is not printable ASCII or does not fit into one part
 */
export function encodeFirstPart(text: string): Uint8Array {
  if (!/^[\x20-\x7e]*$/.test(text) || text.length > firstPartCharacters) {
    throw new EncodeError(what, `it is not 0 to ${firstPartCharacters} characters of printable ASCII`);
  }
  const part = new Uint8Array(partBytes);
  part[2] = text.length;
  for (let i = 0; i < text.length; i += 1) part[3 + i] = text.charCodeAt(i);
  return part;
}

/**
 * The first part of a text as it came, filled up to its size: as it can be set again. OpenBMC sends no fill.
 * @throws DecodeError
 */
export function decodeFirstPart(data: Uint8Array): { readonly part: Uint8Array; readonly text: string } {
  const [setSelector, , length = 0] = data;
  if (data.length < 3) throw new DecodeError(what, data.length, "no set selector, encoding and length");
  if (setSelector !== 0) throw new DecodeError(what, 0, `part ${setSelector} came instead of part 0`);
  const part = new Uint8Array(partBytes);
  part.set(data.subarray(0, partBytes));
  const text = String.fromCharCode(...part.subarray(3, 3 + Math.min(length, firstPartCharacters)));
  return { part, text };
}
