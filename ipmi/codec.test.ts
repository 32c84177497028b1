import { expect, test } from "vitest";
import {
  byte,
  bytes,
  decode,
  encode,
  type Field,
  fixedText,
  flag,
  flagInverted,
  inByte,
  nameOrNumber,
  oneOf,
  optional,
  reserved,
  rest,
  struct,
  uint,
  uint8,
  uint16LE,
  uint24LE,
  uint32LE,
} from "./codec.ts";
import { completionCodeMeaning } from "./completion-code.ts";
import { DecodeError, EncodeError } from "./errors.ts";

/** Bytes of an encoded value. */
function bytesOf<T>(field: Field<T>, value: NoInfer<T>): number[] {
  return [...encode(field, value, "test")];
}

/** Encodes what the compiler would refuse. */
function encodeUnchecked(field: Field<unknown>, value: unknown): Uint8Array {
  return encode(field, value, "test");
}

test("numbers are least significant byte first, and all of their range is theirs", () => {
  expect(bytesOf(uint16LE, 0x0102)).toEqual([2, 1]);
  expect(bytesOf(uint24LE, 0x010203)).toEqual([3, 2, 1]);
  expect(bytesOf(uint32LE, 0xfedcba98)).toEqual([0x98, 0xba, 0xdc, 0xfe]);
  for (const [field, most] of [
    [uint8, 0xff],
    [uint16LE, 0xffff],
    [uint24LE, 0xffffff],
    [uint32LE, 0xffffffff],
  ] as const) {
    expect(decode(field, encode(field, most, "test"), "test", "refused")).toBe(most);
    for (const bad of [most + 1, -1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, "1", null, undefined]) {
      expect(() => encodeUnchecked(field, bad)).toThrow(EncodeError);
    }
  }
});

test("bit fields stand where the specification says, and reserved bits are 0", () => {
  const field = byte({ high: flag(7), level: uint(5, 4), off: flagInverted(3), mode: oneOf({ one: 1, two: 2 }, 1, 0) });
  expect(bytesOf(field, { high: true, level: 2, off: true, mode: "two" })).toEqual([0b1010_0010]);
  expect(bytesOf(field, { high: false, level: 0, off: false, mode: "one" })).toEqual([0b0000_1001]);
  expect(decode(field, Uint8Array.of(0b0111_0101), "test", "refused")).toEqual({
    high: false,
    level: 3,
    off: true,
    mode: "one",
  });
  expect(() => decode(field, Uint8Array.of(0), "test", "refused")).toThrow("test: 00h is none of one, two (at byte 1)");
  for (const bad of [
    { level: 4 },
    { level: -1 },
    { high: 1 },
    { mode: "three" },
    { mode: "toString" },
    { off: undefined },
  ]) {
    const value = { high: true, level: 2, off: true, mode: "two", ...bad };
    expect(() => encodeUnchecked(field, value)).toThrow(EncodeError);
  }
});

test("a name, or the number that has none", () => {
  const field = inByte(nameOrNumber({ user: 2, administrator: 4 }, 3, 0));
  expect(decode(field, Uint8Array.of(0xf4), "test", "refused")).toBe("administrator");
  expect(decode(field, Uint8Array.of(0x07), "test", "refused")).toBe(7);
  expect(bytesOf(field, "user")).toEqual([2]);
  expect(bytesOf(field, 7)).toEqual([7]);
  expect(() => bytesOf(field, 16)).toThrow(EncodeError);
  expect(() => encodeUnchecked(field, "root")).toThrow('"root" is none of user, administrator');
});

test("text is filled with zeros, read up to the first zero, and never cut", () => {
  const field = fixedText(4);
  expect(bytesOf(field, "ab")).toEqual([0x61, 0x62, 0, 0]);
  expect(bytesOf(field, "abcd")).toHaveLength(4);
  expect(decode(field, Uint8Array.of(0x61, 0, 0x62, 0), "test", "refused")).toBe("a");
  for (const bad of ["abcde", "a\0b", "€", 5, undefined]) {
    expect(() => encodeUnchecked(field, bad)).toThrow(EncodeError);
  }
});

test("bytes have the size that is declared", () => {
  expect(() => bytesOf(bytes(2), Uint8Array.of(1))).toThrow("1 bytes do not fill 2");
  expect(() => bytesOf(bytes(2), Uint8Array.of(1, 2, 3))).toThrow(EncodeError);
  expect(() => encodeUnchecked(bytes(2), [1, 2])).toThrow(EncodeError);
  expect(() => bytesOf(rest(1, 2), new Uint8Array(3))).toThrow(EncodeError);
  expect(() => decode(rest(1), new Uint8Array(0), "test", "refused")).toThrow(DecodeError);
  expect(decode(rest(0, 2), Uint8Array.of(1, 2, 3), "test", "ignored")).toEqual(Uint8Array.of(1, 2));
});

test("decoded bytes are a copy", () => {
  const received = Uint8Array.of(1, 2);
  const value = decode(bytes(2), received, "test", "refused");
  received.fill(9);
  expect(value).toEqual(Uint8Array.of(1, 2));
});

test("optional fields end a message; garbage after it is no field", () => {
  const field = struct({ a: uint8, gap: reserved(1), b: optional(uint16LE), c: optional(uint8) });
  expect(decode(field, Uint8Array.of(1, 9), "test", "refused")).toEqual({ a: 1 });
  expect(decode(field, Uint8Array.of(1, 9, 2, 0), "test", "refused")).toEqual({ a: 1, b: 2 });
  expect(decode(field, Uint8Array.of(1, 9, 2, 0, 3), "test", "refused")).toEqual({ a: 1, b: 2, c: 3 });
  // One byte is too short for b, and it is not c either.
  expect(decode(field, Uint8Array.of(1, 9, 7), "test", "ignored")).toEqual({ a: 1 });
  expect(() => decode(field, Uint8Array.of(1, 9, 7), "test", "refused")).toThrow("1 bytes too many");
  expect(bytesOf(field, { a: 1, b: 2 })).toEqual([1, 0, 2, 0]);
  expect(() => bytesOf(field, { a: 1, c: 3 })).toThrow('test: c: it cannot follow "b", which is left out');
});

test("an optional field that is there and wrong is an error, not an absence", () => {
  const field = struct({ mode: optional(inByte(oneOf({ one: 1 }, 7, 0))) });
  expect(() => decode(field, Uint8Array.of(2), "test", "ignored")).toThrow(DecodeError);
});

test("an error names the field by its path", () => {
  const field = struct({ outer: struct({ inner: byte({ level: uint(3, 0) }) }) });
  expect(() => bytesOf(field, { outer: { inner: { level: 16 } } })).toThrow(
    "test: outer.inner.level: 16 is not an integer from 0 to 15",
  );
  expect(() => encodeUnchecked(field, {})).toThrow("test: outer: it is missing");
});

test("completion codes: the command's own meaning first", () => {
  expect(completionCodeMeaning(0xc1)).toBe("invalid command");
  expect(completionCodeMeaning(0x80)).toBe("command-specific code");
  expect(completionCodeMeaning(0x80, { 128: "parameter not supported" })).toBe("parameter not supported");
  expect(completionCodeMeaning(0x7e)).toBe("device-specific (OEM) code");
  expect(completionCodeMeaning(0xe5)).toBe("reserved code");
});
