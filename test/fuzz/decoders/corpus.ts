import fc from "fast-check";
import type { Random } from "../random.ts";

/** Made once for a seed from arbitraries; the same seed gives the same values. */
export function sample<T>(arbitrary: fc.Arbitrary<T>, count: number, random: Random): T[] {
  return fc.sample(arbitrary, { numRuns: count, seed: random.uint32() | 0 });
}

/** "0600ff07 0610" as bytes. */
export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));
}

const longest = 48;
const triesPerLength = 6;

/**
 * Valid encodings of what is declared field by field: bytes that the decoder takes, written again by the encoder.
 * @throws Error if no bytes at all are taken, because mutations would then begin with nothing
 */
export function encodingsOf<T>(
  codec: { readonly name: string; decode(data: Uint8Array): T; encode(value: T): Uint8Array },
  random: Random,
): Uint8Array[] {
  const found = new Map<string, Uint8Array>();
  for (let size = 0; size <= longest; size += 1) {
    for (let i = 0; i < triesPerLength; i += 1) {
      // Reserved values are refused by some fields: bytes of 0 and 1 are the ones most often taken.
      const data = i < 2 ? new Uint8Array(size).fill(i) : random.bytes(size);
      const encoded = roundTrip(codec, data);
      if (encoded !== undefined) found.set(encoded.join(), encoded);
    }
  }
  if (found.size === 0) throw new Error(`${codec.name}: no bytes were found that it decodes`);
  return [...found.values()].slice(0, 64);
}

function roundTrip<T>(
  codec: { decode(data: Uint8Array): T; encode(value: T): Uint8Array },
  data: Uint8Array,
): Uint8Array | undefined {
  try {
    return codec.encode(codec.decode(data));
  } catch {
    // Whether it is the right kind of error, the fuzzer finds out.
    return undefined;
  }
}
