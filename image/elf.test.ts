import { describe, expect, test } from "vitest";
import { interpreter, isElf64, neededLibraries, removeHole } from "./elf.ts";

const page = 4096;

/**
 * A program of one loadable segment (4 pages, the second and third of them empty) with one section over it, the table of
 * program headers in a segment of its own behind it, and the section headers at the end.
 */
function program({ room = 1 } = {}): Buffer {
  const headersAt = 4 * page;
  const sectionsAt = 5 * page;
  const bytes = Buffer.alloc(sectionsAt + 2 * 64);
  bytes.fill(1, 64, page);
  bytes.fill(2, 3 * page, 4 * page);
  Buffer.from("7f454c46020101", "hex").copy(bytes);
  const u64 = (at: number, value: number) => bytes.writeBigUInt64LE(BigInt(value), at);
  u64(32, headersAt);
  u64(40, sectionsAt);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(2, 56);
  bytes.writeUInt16LE(64, 58);
  bytes.writeUInt16LE(2, 60);
  const segment = (index: number, offset: number, address: number, size: number) => {
    const at = headersAt + 56 * index;
    bytes.writeUInt32LE(1, at);
    u64(at + 8, offset);
    u64(at + 16, address);
    u64(at + 32, size);
    u64(at + 40, size);
    u64(at + 48, page);
  };
  segment(0, 0, 0x40_0000, 4 * page);
  segment(1, headersAt, 0x50_0000, 56 * (2 + room));
  const section = sectionsAt + 64;
  bytes.writeUInt32LE(1, section + 4);
  u64(section + 16, 0x40_0000);
  u64(section + 24, 0);
  u64(section + 32, 4 * page);
  return bytes;
}

/** What a loader would map: address to bytes. */
function memory(bytes: Buffer): Map<number, Buffer> {
  const u64 = (at: number) => Number(bytes.readBigUInt64LE(at));
  const at = (index: number) => u64(32) + 56 * index;
  const count = bytes.readUInt16LE(56);
  return new Map(
    Array.from({ length: count }, (_, index) => [
      u64(at(index) + 16),
      bytes.subarray(u64(at(index) + 8), u64(at(index) + 8) + u64(at(index) + 32)),
    ]),
  );
}

describe("taking a hole out of an ELF file", () => {
  test("what is left is mapped where it was", () => {
    const before = program();
    const after = removeHole(before, { start: page, end: 3 * page });
    expect(after.length).toBe(before.length - 2 * page + 64);
    const mapped = memory(after);
    expect(
      mapped
        .get(0x40_0000)
        ?.subarray(64)
        .every((byte) => byte === 1),
    ).toBe(true);
    expect(mapped.get(0x40_0000)?.length).toBe(page);
    expect(mapped.get(0x40_0000 + 3 * page)?.equals(before.subarray(3 * page, 4 * page))).toBe(true);
    expect(mapped.has(0x50_0000)).toBe(true);
  });

  test("only whole pages go", () => {
    const before = program();
    const after = removeHole(before, { start: page + 1, end: 3 * page });
    expect(after.length).toBe(before.length - page + 64);
  });

  test.each([
    ["a hole that is not empty", { start: 0, end: 3 * page }, {}, /not empty/],
    ["a hole within a page", { start: page, end: page + 100 }, {}, /smaller than a page/],
    ["no room for a program header", { start: page, end: 3 * page }, { room: 0 }, /no room/],
  ])("refuses %s", (_, hole, options, message) => {
    expect(() => removeHole(program(options), hole)).toThrow(message);
  });

  test("refuses what is no ELF file", () => {
    expect(isElf64(Buffer.from("#!/bin/sh"))).toBe(false);
    expect(() => interpreter(Buffer.from("#!/bin/sh"))).toThrow(/ELF/);
  });
});

test("the running Node names its linker and its libraries", async () => {
  const { readFile } = await import("node:fs/promises");
  const node = await readFile(process.execPath);
  expect(interpreter(node)).toBe("/lib64/ld-linux-x86-64.so.2");
  expect(neededLibraries(node)).toContain("libc.so.6");
});
