import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CompletionCodeError, DecodeError, EncodeError } from "../errors.ts";
import { encodeFru, type FruContent } from "./encode.ts";
import { type Fru, parseFru } from "./parse.ts";
import { FruReading } from "./reading.ts";
import { decodeText, encodeText } from "./text.ts";

const content = {
  chassis: {
    chassisType: 23,
    partNumber: { encoding: "bcdPlus", text: "123-456.78" },
    serialNumber: "CH-SER-1",
    custom: ["extra one"],
  },
  board: {
    manufacturingDate: new Date("2024-05-17T12:34:00Z"),
    manufacturer: { encoding: "sixBit", text: "ACME BOARDS" },
    productName: "Böard X",
    serialNumber: "BS1",
    partNumber: { encoding: "binary", text: "deadbeef" },
    fruFileId: "f",
  },
  product: {
    manufacturer: "Acme",
    productName: "Rivet 9000",
    partNumber: "RV-9",
    version: "1.0",
    serialNumber: "S/N 77",
    custom: ["c1x", { encoding: "sixBit", text: "A" }],
  },
} as const satisfies FruContent;

/** ipmitool 1.8.19 printed the same texts and the same date for this image, read from ipmi_sim. */
const expected: Fru = {
  state: "present",
  chassis: { chassisType: 23, partNumber: "123-456.78", serialNumber: "CH-SER-1", custom: ["extra one"] },
  board: {
    language: 0,
    manufacturingDate: new Date("2024-05-17T12:34:00Z"),
    manufacturer: "ACME BOARDS",
    productName: "Böard X",
    serialNumber: "BS1",
    partNumber: "deadbeef",
    fruFileId: "f",
  },
  product: {
    language: 0,
    manufacturer: "Acme",
    productName: "Rivet 9000",
    partNumber: "RV-9",
    version: "1.0",
    serialNumber: "S/N 77",
    assetTag: "",
    fruFileId: "",
    custom: ["c1x", "A"],
  },
  problems: [],
};

/** Language code. Table 15-1. */
const japanese = 53;

function problemsOf(image: Uint8Array): string[] {
  const fru = parseFru(image);
  return fru.state === "present" ? fru.problems.map(({ area, kind }) => `${area}: ${kind}`) : [fru.reason];
}

test("an image is read as it was made, with or without a tail", () => {
  const image = encodeFru(content);
  expect(parseFru(image)).toEqual(expected);
  expect(parseFru(Uint8Array.of(...image, ...new Uint8Array(300).fill(0xff)))).toEqual(expected);
});

test("the bytes of a small image, computed by hand from §8 and §12", () => {
  const product = { manufacturer: "AB", productName: { encoding: "sixBit", text: "IPMI" } } as const;
  // The 6-bit example "IPMI" = 29h DCh A6h is that of the specification, §13.
  const body = [0x01, 0x03, 0x00, 0xc2, 0x41, 0x42, 0x83, 0x29, 0xdc, 0xa6, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc1];
  const area = [...body, 0, 0, 0, 0, 0, 0, 0];
  const sum = area.reduce((total, each) => total + each, 0);
  expect([...encodeFru({ product })]).toEqual([1, 0, 0, 0, 1, 0, 0, 0xfe, ...area, (0x100 - (sum & 0xff)) & 0xff]);
});

describe("text", () => {
  const decode = (type: number, data: number[], language = 0, alwaysEnglish = false) =>
    decodeText(type, Uint8Array.from(data), language, alwaysEnglish);

  test("each encoding", () => {
    expect(decode(0, [0xde, 0x0d])).toBe("de0d");
    expect(decode(1, [0x12, 0x3b, 0x45, 0x6c, 0x78, 0x9a])).toBe("123-456.789");
    // Reserved nibbles, as ipmitool shows them.
    expect(decode(1, [0xde, 0xf1])).toBe(":,_1");
    // All 64 characters of the 6-bit code, four in three bytes, the first in the low bits.
    const packed = Array.from({ length: 16 }, (_, i) => {
      const bits = [0, 1, 2, 3].reduce((sum, k) => sum | ((4 * i + k) << (6 * k)), 0);
      return [bits & 0xff, (bits >> 8) & 0xff, bits >> 16];
    }).flat();
    const all = Array.from({ length: 64 }, (_, i) => String.fromCharCode(0x20 + i)).join("");
    expect(decode(2, packed)).toBe(all);
    expect(decode(2, [0x29, 0xdc, 0xa6])).toBe("IPMI");
    expect(decode(2, [0x29])).toBe("I");
    expect(decode(3, [0x42, 0xf6, 0x78])).toBe("Böx");
    expect(decode(3, [0x2a, 0x68, 0x0f, 0x5f], 20)).toBe("株式");
    expect(decode(3, [0x41, 0x00, 0x42, 0x00], 25)).toBe("A\0B");
  });

  test("ASCII in an area whose language byte says otherwise", () => {
    const acme = [0x41, 0x43, 0x4d, 0x45];
    expect(decode(3, acme, 1)).toBe("ACME");
    expect(decode(3, acme, 0xff)).toBe("ACME");
    expect(decode(3, [0x41, 0x00, 0x43, 0x00], 1)).toBe("AC");
    expect(decode(3, [0x16, 0x04, 0x35, 0x04], 1)).toBe("Же");
    // The name of a maker, which consists of nothing but bytes of printable ASCII.
    for (const ideographs of [japanese, 61, 135]) expect(decode(3, [0x6a, 0x6d, 0x6e, 0x6f], ideographs)).toBe("浪潮");
  });

  test("English-only fields of an area in another language", () => {
    expect(decode(3, [0x53, 0x4e, 0x30, 0x31], 20, true)).toBe("SN01");
    expect(decode(3, [0x53, 0x00, 0x4e, 0x00], 20, true)).toBe("SN");
    // An odd number of bytes is no UTF-16.
    expect(decode(3, [0x41, 0x42, 0x43], 20)).toBe("ABC");
  });

  test.each([0x00, 0xff, 0xfe, 0x10, 0x03, 0x20])("fill of %i at the end is dropped", (fill) => {
    expect(decode(3, [0x41, 0x20, 0x42, fill, fill])).toBe("A B");
  });

  test("what is written is read (property)", () => {
    const letters = (set: string) =>
      fc.string({ unit: fc.constantFrom(...set), maxLength: 20 }).map((text) => text.trimEnd());
    const sixBit = Array.from({ length: 64 }, (_, i) => String.fromCharCode(0x20 + i)).join("");
    const cases = fc.oneof(
      fc.tuple(fc.constant("bcdPlus" as const), letters("0123456789 -.")),
      fc.tuple(fc.constant("sixBit" as const), letters(sixBit)),
      fc.tuple(fc.constant("latin1" as const), letters("abcXYZ 0123456789-_/ÄÖüß")),
      fc.tuple(fc.constant("utf16le" as const), letters("aZ 株式会社ÄЖ")),
      fc.tuple(
        fc.constant("binary" as const),
        fc
          .uint8Array({ maxLength: 30 })
          .map((data) => Array.from(data, (each) => each.toString(16).padStart(2, "0")).join("")),
      ),
    );
    fc.assert(
      fc.property(cases, ([encoding, text]) => {
        const [typeLength = 0, ...data] = encodeText(text, encoding, "test");
        expect(typeLength).not.toBe(0xc1);
        expect(data).toHaveLength(typeLength & 0x3f);
        expect(decode(typeLength >> 6, data, encoding === "utf16le" ? japanese : 0)).toBe(text);
      }),
      { numRuns: 500 },
    );
  });

  test("what does not fit is refused, naming the field", () => {
    expect(() => encodeFru({ board: { manufacturer: "x".repeat(64) } })).toThrow(
      "FRU board manufacturer: 64 bytes, at most 63 fit",
    );
    expect(() => encodeText("abc", "sixBit", "f")).toThrow(EncodeError);
    expect(() => encodeText("12a", "bcdPlus", "f")).toThrow(EncodeError);
    expect(() => encodeText("株", "latin1", "f")).toThrow(EncodeError);
    expect(() => encodeText("abc", "binary", "f")).toThrow(EncodeError);
    expect(() => encodeFru({ product: { custom: new Array<string>(40).fill("x".repeat(60)) } })).toThrow(EncodeError);
  });
});

describe("images that are not as they should be", () => {
  test("no FRU", () => {
    expect(problemsOf(new Uint8Array(0))).toEqual(["size 0"]);
    expect(problemsOf(new Uint8Array(256))).toEqual(["header all zero"]);
    expect(problemsOf(new Uint8Array(256).fill(0xff))).toEqual(["header all FFh"]);
    expect(problemsOf(Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 0xff))).toEqual(["header version 0"]);
    expect(() => parseFru(Uint8Array.of(1, 0, 0))).toThrow(DecodeError);
    expect(() => parseFru(Uint8Array.of(2, 0, 1, 0, 0, 0, 0, 0xfd))).toThrow("unknown format version 2");
  });

  test("a bad checksum keeps the data and is told", () => {
    for (const area of ["header", "chassis"]) {
      const image = encodeFru(content);
      const last = area === "chassis" ? 8 + (image[9] ?? 0) * 8 - 1 : 7;
      image[last] = (image[last] ?? 0) ^ 0x55;
      expect(problemsOf(image)).toEqual([`${area}: checksum`]);
      expect(parseFru(image)).toMatchObject({ chassis: expected.state === "present" ? expected.chassis : {} });
    }
  });

  test("an area beyond the image, an area that is cut off, a length of 0", () => {
    const image = encodeFru(content);
    const beyond = image.slice();
    beyond[4] = 0xff;
    expect(problemsOf(beyond)).toEqual(["header: checksum", "product: offset"]);
    const cut = image.slice(0, image.length - 12);
    expect(problemsOf(cut)).toEqual(["product: length", "product: fields"]);
    expect(parseFru(cut)).toMatchObject({ product: { manufacturer: "Acme", productName: "Rivet 9000" } });
    const empty = image.slice();
    empty[9] = 0;
    expect(problemsOf(empty)).toEqual(["chassis: length"]);
  });

  test("the end mark early: the fields after it are missing, not empty", () => {
    const image = encodeFru({ product: { manufacturer: "Acme", productName: "X9" } });
    // 8 header bytes, 3 fixed, C4h "Acme", C2h "X9", then the part number's C0h becomes the end.
    image[8 + 3 + 5 + 3] = 0xc1;
    image[image.length - 1] = ((image[image.length - 1] ?? 0) - 1) & 0xff;
    expect(parseFru(image)).toEqual({
      state: "present",
      product: { language: 0, manufacturer: "Acme", productName: "X9" },
      problems: [],
    });
  });

  test("without an end mark the checksum is not read as a field", () => {
    // 24 bytes of product area by hand (§12): texts up to the last byte, then a checksum that looks like an end mark.
    const area = [1, 3, 0, 0xc2, 0x41, 0x42, 0xd0, ...new Array<number>(16).fill(0x43)];
    const missing = 0x100 - ((area.reduce((sum, each) => sum + each, 0) + 0xc1) & 0xff);
    area[22] = (0x43 + missing) & 0xff;
    const image = Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0xfe, ...area, 0xc1);
    expect(problemsOf(image)).toEqual(["product: fields"]);
    expect(parseFru(image)).toMatchObject({ product: { manufacturer: "AB" } });
  });

  test("the fill of an area without an end mark is no list of empty fields", () => {
    // As an AFC board of Creotech was seen to have it: two texts, then 00h to the end of the area.
    const image = Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0xfe, 1, 3, 0, 0xc2, 0x41, 0x42, ...new Array<number>(18).fill(0));
    const fru = parseFru(image);
    expect(fru).toMatchObject({ product: { manufacturer: "AB", fruFileId: "" } });
    expect(fru.state === "present" && fru.product).not.toHaveProperty("custom");
    expect(problemsOf(image)).toEqual(["product: checksum", "product: fields"]);
  });

  test("a manufacturing date of 0, and noise below 800 minutes, are none", () => {
    for (const minutes of [0, 799]) {
      const manufacturingDate = new Date(Date.UTC(1996, 0, 1) + minutes * 60_000);
      const fru = parseFru(encodeFru({ board: { manufacturingDate } }));
      expect(fru.state === "present" && fru.board).not.toHaveProperty("manufacturingDate");
    }
  });

  test("any bytes are a FRU or a DecodeError, also behind a good header (property)", () => {
    const header = fc.tuple(...Array.from({ length: 5 }, () => fc.integer({ min: 0, max: 12 })));
    const behind = fc
      .tuple(header, fc.uint8Array({ maxLength: 120 }))
      .map(([offsets, data]) => Uint8Array.of(1, ...offsets, 0, 0, ...data));
    const flipped = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })).map(([at, value]) => {
      const image = encodeFru(content);
      image[at % image.length] = value;
      return image;
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), behind, flipped), (data) => {
        try {
          expect(["present", "absent"]).toContain(parseFru(data).state);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 1500 },
    );
  });
});

describe("which pieces are read", () => {
  interface Bmc {
    readonly image: Uint8Array;
    readonly unit?: "bytes" | "words";
    /** More than this in one piece is refused with C8h. */
    readonly limit?: number;
    /** From here on reading is refused with FFh. */
    readonly unreadableFrom?: number;
    /** Never more than this in one answer. */
    readonly atMost?: number;
  }

  /** A BMC behind the loop of the documentation; returns the number of commands too. */
  function readAll(bmc: Bmc): { fru: Fru; commands: number; bytes: number } {
    const unitBytes = bmc.unit === "words" ? 2 : 1;
    const reading = new FruReading({ areaSizeBytes: bmc.image.length, access: { unit: bmc.unit ?? "bytes" } });
    let commands = 0;
    let bytes = 0;
    for (let piece = reading.next(); piece !== undefined; piece = reading.next()) {
      commands += 1;
      if (commands > 400) throw new Error("it does not end");
      const start = piece.offset * unitBytes;
      const size = piece.count * unitBytes;
      expect(piece.count).toBeGreaterThan(0);
      expect(start).toBeLessThan(bmc.image.length);
      const code = size > (bmc.limit ?? 255) ? 0xc8 : start + size > (bmc.unreadableFrom ?? 1e6) ? 0xff : 0;
      if (code !== 0) {
        reading.refused(new CompletionCodeError("Read FRU Data", code, "test"));
        continue;
      }
      const data = bmc.image.slice(start, start + Math.min(size, bmc.atMost ?? 255));
      bytes += data.length;
      reading.received({ countReturned: Math.floor(data.length / unitBytes), data: Uint8Array.of(...data, 0xee) });
    }
    return { fru: reading.result(), commands, bytes };
  }

  const image = new Uint8Array(4096).fill(0xff);
  image.set(encodeFru(content));
  const used = encodeFru(content).length;

  test("only the used areas, in pieces of 32 bytes", () => {
    const { fru, commands, bytes } = readAll({ image });
    expect(fru).toEqual(expected);
    expect(commands).toBe(Math.ceil(used / 32));
    expect(bytes).toBeLessThan(used + 32);
  });

  test("by words, in answers that are short, and in smaller pieces if 32 are refused", () => {
    expect(readAll({ image, unit: "words" }).fru).toEqual(expected);
    expect(readAll({ image, atMost: 5 }).fru).toEqual(expected);
    const small = readAll({ image, limit: 16 });
    expect(small.fru).toEqual(expected);
    expect(small.commands).toBe(1 + Math.ceil(used / 16));
    expect(readAll({ image, limit: 8 }).fru).toEqual(expected);
  });

  test("what cannot be read is a problem of its area, and the rest is kept", () => {
    const { fru } = readAll({ image, unreadableFrom: 80 });
    expect(fru).toMatchObject({ state: "present", chassis: { serialNumber: "CH-SER-1" } });
    expect(fru.state === "present" && fru.problems).toContainEqual(
      expect.objectContaining({ area: "product", kind: "length" }),
    );
  });

  test("a BMC that answers nothing, and one that refuses the header", () => {
    expect(() => readAll({ image, atMost: 0 })).toThrow(DecodeError);
    expect(() => readAll({ image, limit: 4 })).toThrow(CompletionCodeError);
    const reading = new FruReading({ areaSizeBytes: 256, access: { unit: "bytes" } });
    reading.next();
    const absent = new CompletionCodeError("Read FRU Data", 0xcb, "not present");
    expect(() => reading.refused(absent)).toThrow(absent);
  });

  test("size 0, and a header that says nothing is there", () => {
    expect(readAll({ image: new Uint8Array(0) })).toEqual({
      fru: { state: "absent", reason: "size 0" },
      commands: 0,
      bytes: 0,
    });
    expect(readAll({ image: new Uint8Array(256) })).toMatchObject({ fru: { state: "absent" }, commands: 1 });
  });

  test("it ends for any image and any BMC, and finds what the parser finds (property)", () => {
    const bmc = fc.record({
      offsets: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 5, maxLength: 5 }),
      data: fc.uint8Array({ minLength: 30, maxLength: 300 }),
      unit: fc.constantFrom("bytes" as const, "words" as const),
      limit: fc.integer({ min: 8, max: 64 }),
      atMost: fc.integer({ min: 2, max: 64 }),
    });
    fc.assert(
      fc.property(bmc, ({ offsets, data, ...rest }) => {
        const header = Uint8Array.of(1, ...offsets, 0, 0);
        const size = (header.length + data.length) & ~1;
        const whole = Uint8Array.of(...header, ...data).slice(0, size);
        expect(readAll({ image: whole, ...rest, limit: rest.limit & ~1 }).fru).toEqual(parseFru(whole));
      }),
      { numRuns: 300 },
    );
  });
});
