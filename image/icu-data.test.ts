import { describe, expect, test } from "vitest";
import { findIcuData, neededForEnglish, shrinkIcuData } from "./icu-data.ts";

/** A common data file as ICU lays it out, somewhere within a program; bodies are filled with their own number. */
function programWith(items: readonly [name: string, size: number][]): Buffer {
  const headerSize = 32;
  const names = items.map(([name]) => Buffer.from(`${name}\0`));
  const tocSize = 4 + 8 * items.length;
  const align = (value: number) => Math.ceil(value / 16) * 16;
  let nameAt = tocSize;
  let bodyAt = align(tocSize + names.reduce((sum, name) => sum + name.length, 0));
  const total = bodyAt + items.reduce((sum, [, size]) => sum + align(size), 0);
  const data = Buffer.alloc(headerSize + total);
  data.writeUInt16LE(headerSize, 0);
  data.set([0xda, 0x27, 20, 0, 0, 0, 0, 0, 2, 0], 2);
  data.write("CmnD", 12, "latin1");
  data.writeUInt32LE(items.length, headerSize);
  for (const [index, [, size]] of items.entries()) {
    const name = names[index] ?? Buffer.alloc(0);
    data.writeUInt32LE(nameAt, headerSize + 4 + 8 * index);
    data.writeUInt32LE(bodyAt, headerSize + 8 + 8 * index);
    name.copy(data, headerSize + nameAt);
    data.fill(index + 1, headerSize + bodyAt, headerSize + bodyAt + size);
    nameAt += name.length;
    bodyAt += align(size);
  }
  return Buffer.concat([Buffer.alloc(4096, 0xee), data, Buffer.alloc(4096, 0xdd)]);
}

const items: [string, number][] = [
  ["icudt78l/de.res", 5000],
  ["icudt78l/en.res", 100],
  ["icudt78l/pool.res", 64],
  ["icudt78l/zu.res", 5000],
  ["icudt78l/zu_ZA.res", 80],
];

const find = (program: Buffer) => {
  const data = findIcuData(program);
  if (!data) throw new Error("not found");
  return data;
};

describe("ICU data", () => {
  test("kept items are found again with their bytes; the rest is zero", () => {
    const program = programWith(items);
    const before = find(program);
    const freed = shrinkIcuData(program, before, neededForEnglish);

    const after = find(program);
    expect(after.items.map(({ name }) => name)).toEqual(["icudt78l/en.res", "icudt78l/pool.res"]);
    const body = (index: number, size: number) => {
      const at = after.toc + (after.items[index]?.start ?? 0);
      expect((at - after.header) % 16).toBe(0);
      return program.subarray(at, at + size);
    };
    expect(body(0, 100).every((byte) => byte === 2)).toBe(true);
    expect(body(1, 64).every((byte) => byte === 3)).toBe(true);
    expect(program.subarray(freed.start, freed.end).every((byte) => byte === 0)).toBe(true);
    expect(freed.end - freed.start).toBeGreaterThan(9000);
  });

  test("nothing outside of the data changes", () => {
    const program = programWith(items);
    const original = Buffer.from(program);
    const { toc } = find(program);
    const freed = shrinkIcuData(program, find(program), neededForEnglish);
    expect(program.length).toBe(original.length);
    expect(program.subarray(0, toc).equals(original.subarray(0, toc))).toBe(true);
    expect(program.subarray(freed.end).equals(original.subarray(freed.end))).toBe(true);
  });

  test("a program without ICU data has none", () => {
    expect(findIcuData(Buffer.alloc(1000, "CmnD"))).toBeUndefined();
  });

  test("a damaged table is refused", () => {
    const program = programWith(items);
    const { toc } = find(program);
    program.writeUInt32LE(0xffff_fff0, toc + 8 + 8);
    expect(() => findIcuData(program)).toThrow(/item [12] of 5/);
  });

  test("data that is there twice is refused", () => {
    expect(() => findIcuData(Buffer.concat([programWith(items), programWith(items)]))).toThrow(/twice/);
  });

  test("to keep nothing, or the item whose length is unknown, is refused", () => {
    const program = programWith(items);
    expect(() => shrinkIcuData(program, find(program), () => false)).toThrow(/none/);
    expect(() => shrinkIcuData(program, find(program), () => true)).toThrow(/zu_ZA/);
  });

  test.each([
    ["icudt78l/en.res", true],
    ["icudt78l/en_US.res", true],
    ["icudt78l/curr/root.res", true],
    ["icudt78l/res_index.res", true],
    ["icudt78l/uts46.nrm", true],
    ["icudt78l/zoneinfo64.res", true],
    ["icudt78l/de.res", false],
    ["icudt78l/zone/zh_Hant_TW.res", false],
    ["icudt78l/translit/root.res", false],
    ["icudt78l/gb18030-2022.cnv", false],
    ["icudt78l/brkitr/thaidict.dict", false],
  ])("%s is needed for English: %s", (name, needed) => {
    expect(neededForEnglish(name)).toBe(needed);
  });
});
