import { expect, test } from "vitest";
import { DecodeError, EncodeError } from "./errors.ts";
import { decodeFirstPart, encodeFirstPart } from "./system-info-parameters.ts";

test("a text of up to 14 characters is one part, and reads back", () => {
  for (const text of ["", "Linux", "rivet-0123abcd", "~".repeat(14)]) {
    const part = encodeFirstPart(text);
    expect(part).toHaveLength(17);
    expect(decodeFirstPart(part)).toEqual({ part, text });
  }
});

test.each(["x".repeat(15), "ü", "a\nb"])("%j does not fit", (text) => {
  expect(() => encodeFirstPart(text)).toThrow(EncodeError);
});

test("the first part of a longer text comes as it is, and a part without fill is filled", () => {
  const long = Uint8Array.of(0, 1, 30, ...Buffer.from("Debian GNU/Lin"));
  expect(decodeFirstPart(long)).toEqual({ part: long, text: "Debian GNU/Lin" });
  const short = Uint8Array.of(0, 0, 2, 0x4f, 0x53);
  expect(decodeFirstPart(short)).toEqual({ part: encodeFirstPart("OS"), text: "OS" });
});

test.each([[[]], [[0, 0]], [[1, 0, 2, 0x4f, 0x53]]])("%j is no first part", (bytes) => {
  expect(() => decodeFirstPart(Uint8Array.from(bytes))).toThrow(DecodeError);
});
