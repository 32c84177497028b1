import { describe, expect, test } from "vitest";
import { addPeSections, peSections } from "./pe.ts";

/** A 64-bit PE file with one section of 16 bytes at address 4000h, and room for `room` more section headers. */
function program(room: number): Buffer {
  const headers = Buffer.alloc(512);
  const [pe, optional] = [0x80, 0x80 + 24];
  const sections = optional + 240;
  const header = Buffer.alloc(Math.max(512, Math.ceil((sections + 40 * (1 + room)) / 512) * 512));
  headers.copy(header);
  header.writeUInt32LE(pe, 0x3c);
  header.write("PE\0\0", pe, "latin1");
  header.writeUInt16LE(1, pe + 6);
  header.writeUInt16LE(240, pe + 20);
  header.writeUInt16LE(0x20b, optional);
  header.writeUInt32LE(0x200, optional + 32);
  header.writeUInt32LE(0x200, optional + 36);
  header.writeUInt32LE(sections + 40 * (1 + room), optional + 60);
  header.write(".text", sections, "latin1");
  header.writeUInt32LE(16, sections + 8);
  header.writeUInt32LE(0x4000, sections + 12);
  header.writeUInt32LE(0x200, sections + 16);
  header.writeUInt32LE(header.length, sections + 20);
  return Buffer.concat([header, Buffer.alloc(512, 0x90)]);
}

describe("sections of a UEFI program", () => {
  const added = [
    { name: ".cmdline", body: Buffer.from("quiet") },
    { name: ".linux", body: Buffer.alloc(5000, "L") },
  ];

  test("are added behind its own, each on a page of its own, and found again", () => {
    const before = program(2);
    const after = addPeSections(before, added);
    expect(peSections(after).map(({ name }) => name)).toEqual([".text", ".cmdline", ".linux"]);
    for (const [index, { body }] of added.entries()) {
      const { offset, fileBytes } = peSections(after)[index + 1]!;
      expect(offset % 512).toBe(0);
      expect(after.subarray(offset, offset + body.length).equals(body)).toBe(true);
      expect(after.subarray(offset + body.length, offset + fileBytes).every((byte) => byte === 0)).toBe(true);
    }
    const addresses = [1, 2].map((index) => after.readUInt32LE(0x80 + 24 + 240 + 40 * index + 12));
    expect(addresses).toEqual([0x5000, 0x6000]);
    // SizeOfImage ends behind the last one
    expect(after.readUInt32LE(0x80 + 24 + 56)).toBe(Math.ceil((0x6000 + 5000) / 512) * 512);
  });

  test("the program itself stays as it is", () => {
    const before = program(2);
    const after = addPeSections(before, added);
    const { offset } = peSections(before)[0]!;
    expect(after.subarray(offset, before.length).equals(before.subarray(offset))).toBe(true);
  });

  test("symbols behind its sections are left out: a signature does not cover gaps", () => {
    const withSymbols = Buffer.concat([program(2), Buffer.alloc(300, "symbol")]);
    withSymbols.writeUInt32LE(withSymbols.length - 300, 0x80 + 12);
    expect(addPeSections(withSymbols, added).equals(addPeSections(program(2), added))).toBe(true);
  });

  test("no room for their headers is an error", () => {
    expect(() => addPeSections(program(1), added)).toThrow(/no room for 2 more/);
  });

  test("a signed program is refused: its signature would not hold any more", () => {
    const signed = program(2);
    signed.writeUInt32LE(1000, 0x80 + 24 + 112 + 8 * 4 + 4);
    expect(() => addPeSections(signed, added)).toThrow(/is signed/);
  });

  test.each([Buffer.alloc(0), Buffer.alloc(100), Buffer.alloc(1000, "x")])("what is no PE file is refused", (bytes) => {
    expect(() => peSections(bytes)).toThrow(/not a UEFI program/);
  });
});
