import fc from "fast-check";
import { CompletionCodeError, DecodeError } from "../../../ipmi/errors.ts";
import { encodeFru, type FruContent, type FruText } from "../../../ipmi/fru/encode.ts";
import { parseFru } from "../../../ipmi/fru/parse.ts";
import { FruReading } from "../../../ipmi/fru/reading.ts";
import { decodeText, encodeText } from "../../../ipmi/fru/text.ts";
import type { FuzzedDecoder } from "../fuzzed-decoder.ts";
import type { Random } from "../random.ts";
import { sample } from "./corpus.ts";

const letters = (set: string) => fc.string({ unit: fc.constantFrom(...set), maxLength: 20 });

const text: fc.Arbitrary<FruText> = fc.oneof(
  letters("abcXYZ 0123456789-_/ÄÖüß").map((each) => ({ encoding: "latin1" as const, text: each })),
  letters("ABC 0123[]_").map((each) => ({ encoding: "sixBit" as const, text: each })),
  letters("0123456789 -.").map((each) => ({ encoding: "bcdPlus" as const, text: each })),
  letters("aZ 株式会社ÄЖ").map((each) => ({ encoding: "utf16le" as const, text: each })),
  fc.uint8Array({ maxLength: 20 }).map((data) => ({
    encoding: "binary" as const,
    text: Buffer.from(data).toString("hex"),
  })),
);

/** Few of the keys are always there, as in the FRUs of real boards. */
const texts = <const N extends string>(...names: readonly N[]) =>
  fc.record(
    {
      ...(Object.fromEntries(names.map((name) => [name, text])) as Record<N, typeof text>),
      custom: fc.array(text, { maxLength: 3 }),
    },
    { requiredKeys: [] },
  );

/** English, Japanese, and numbers that mean nothing. Table 15-1. */
const language = fc.constantFrom(0, 25, 1, 53, 255);

const content = fc.record(
  {
    chassis: texts("partNumber", "serialNumber"),
    board: fc
      .tuple(texts("manufacturer", "productName", "serialNumber", "partNumber", "fruFileId"), language)
      .map(([board, each]) => ({ ...board, language: each, manufacturingDate: new Date("2024-05-17T12:34:00Z") })),
    product: fc
      .tuple(texts("manufacturer", "productName", "partNumber", "version", "serialNumber", "assetTag"), language)
      .map(([product, each]) => ({ ...product, language: each })),
  },
  { requiredKeys: [] },
);

const images = (random: Random): Uint8Array[] =>
  sample(content, 60, random).map((each) => encodeFru(each as FruContent));

const image: FuzzedDecoder = {
  name: "FRU image",
  decode: parseFru,
  refusals: [DecodeError],
  corpus: images,
  maxBytes: 1024,
  share: 12,
};

/** Two bytes for what stands elsewhere (the two type bits and the switch of English, the area's language), then the field's data. */
const field: FuzzedDecoder = {
  name: "FRU field",
  decode: ([how = 0, language = 0, ...data]) =>
    decodeText(how & 3, Uint8Array.from(data.slice(0, 63)), language, (how & 4) !== 0),
  refusals: [],
  corpus: (random) =>
    sample(text, 60, random).map((each) => {
      const { encoding, text: value } = typeof each === "string" ? { encoding: "latin1" as const, text: each } : each;
      const [typeLength = 0, ...data] = encodeText(value, encoding, "FRU field");
      return Uint8Array.of((typeLength >> 6) | (random.byte() & 4), random.pick([0, 25, 1, 53, 255]), ...data);
    }),
  share: 6,
};

/** A BMC answers every question; one that never comes to an end is a fault. */
const mostQuestions = 20_000;

/**
 * A conversation about a FRU: the input is what the BMC says. Bytes 1-3: size and unit; then for each piece a byte: C0h and up is
 * a completion code, less is the number of bytes that follow. Once it is used up, nothing more is answered.
 */
function readPieces(input: Uint8Array): unknown {
  const [low = 0, high = 0, unit = 0] = input;
  let at = 3;
  const reading = new FruReading({
    areaSizeBytes: low | (high << 8),
    access: { unit: (unit & 1) === 0 ? "bytes" : "words" },
  });
  let questions = 0;
  for (let piece = reading.next(); piece !== undefined; piece = reading.next()) {
    questions += 1;
    if (questions > mostQuestions) throw new Error(`not at its end after ${mostQuestions} pieces`);
    const control = input[at++] ?? 0;
    if (control >= 0xc0) {
      reading.refused(new CompletionCodeError("Read FRU Data", control, "as the input says"));
      continue;
    }
    const data = input.subarray(at, at + (control & 0x3f));
    at += data.length;
    // The count that a BMC tells and the bytes that it sends are two things.
    const countReturned = (control & 0x80) === 0 ? piece.count : data.length;
    reading.received({ countReturned, data });
  }
  return reading.result();
}

const reading: FuzzedDecoder = {
  name: "FRU reading",
  decode: readPieces,
  refusals: [DecodeError, CompletionCodeError],
  corpus: (random) =>
    images(random).map((each) => {
      const pieces = Array.from({ length: Math.ceil(each.length / 32) }, (_, i) => each.subarray(32 * i, 32 * i + 32));
      const answers = pieces.flatMap((piece) => [piece.length, ...piece]);
      return Uint8Array.of(each.length & 0xff, each.length >> 8, random.below(2), ...answers);
    }),
  maxBytes: 1024,
  share: 6,
};

export const fruDecoders: readonly FuzzedDecoder[] = [image, field, reading];
