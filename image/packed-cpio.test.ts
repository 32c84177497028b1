import { zstdDecompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { behindAnother, type CpioPart, joined, packCpio, plainCpio } from "./packed-cpio.ts";

const part = (name: string, path: string, body: Buffer): CpioPart => ({
  name,
  entries: [{ kind: "file", path, body, mode: 0o755 }],
});
const parts = [
  part("agent", "opt/agent", Buffer.alloc(100_000, "agent ")),
  part("libraries", "opt/lib/libc.so.6", Buffer.from("lib")),
];

describe("packed archive", () => {
  test("two builds of the same contents give the same bytes; another agent gives others", async () => {
    const [one, two] = [await packCpio(parts, 3), await packCpio(parts, 3)];
    expect(one.image.equals(two.image)).toBe(true);
    const other = await packCpio([part("agent", "opt/agent", Buffer.from("other"))], 3);
    expect(other.image.equals(one.image)).toBe(false);
  });

  test("unpacks to the plain archive, and the sizes of the parts add up", async () => {
    const packed = await packCpio(parts, 3);
    expect(zstdDecompressSync(packed.image).equals(plainCpio(parts))).toBe(true);
    expect(packed.parts.map(({ name }) => name)).toEqual(["agent", "libraries"]);
    expect(packed.parts.reduce((sum, { packed: share }) => sum + share, 0)).toBe(packed.image.length);
    expect(packed.parts.every(({ packed: share }) => share > 0)).toBe(true);
  });

  test("is one zstd frame, because the kernel looks for the archive's end in it", async () => {
    const { image } = await packCpio(parts, 3);
    expect(image.indexOf(Buffer.from("28b52ffd", "hex"), 1)).toBe(-1);
  });

  test("archives behind each other begin at multiples of four bytes", async () => {
    const archives = [];
    for (const size of [1, 2, 3, 4, 5]) archives.push(await packCpio([part("x", "x", Buffer.alloc(size, "x"))], 3));
    expect(archives.some(({ image }) => image.length % 4 !== 0)).toBe(true);
    const { image, parts: sizes } = joined(archives);
    expect(sizes).toHaveLength(5);
    const starts = archives.map(({ image: each }) => image.indexOf(each));
    expect(starts.every((start) => start >= 0 && start % 4 === 0)).toBe(true);
  });

  test("behind another one the first four bytes are zero wherever that ended, and the archive keeps its place", () => {
    const image = behindAnother(plainCpio(parts));
    expect(image.readUInt32LE(0)).toBe(0);
    expect(image.indexOf("070701") % 4).toBe(0);
    expect(image.subarray(image.indexOf("070701")).equals(plainCpio(parts))).toBe(true);
  });
});
