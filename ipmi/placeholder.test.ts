import { describe, expect, test } from "vitest";
import { encodeFru } from "./fru/encode.ts";
import { parseFru } from "./fru/parse.ts";
import { isPlaceholder, ownSerial } from "./placeholder.ts";

describe.each([
  "To Be Filled By O.E.M.",
  "To be filled by O.E.M.",
  "TO BE FILLED BY O.E.M",
  "To Be Filled By O.E.M. by More String",
  "OEM",
  "Default string",
  "System Serial Number",
  "Base Board Serial Number",
  "Chassis Serial Number",
  "System manufacturer",
  "System Product Name",
  "System Version",
  "Chassis Manufacture",
  "Asset Tag",
  "0123456789",
  "01234567890123456789AB",
  "0123456789ABCDEF",
  "MB-1234567890",
  "Not Specified",
  "Not Applicable",
  "N/A",
  "INVALID",
  "........",
  ".",
  "None",
  " none ",
])("%j stands for nothing", (text) => {
  test("in any field", () => {
    expect(isPlaceholder(text)).toBe(true);
    expect(ownSerial(text)).toBe("");
  });

  test("and is empty in a FRU", () => {
    const fru = encodeFru({ board: { manufacturer: "Acme", serialNumber: text }, product: { custom: [text, "x"] } });
    expect(parseFru(fru)).toMatchObject({
      board: { manufacturer: "Acme", serialNumber: "" },
      product: { custom: ["", "x"] },
    });
  });
});

test.each(["S123", "None-1", "1.0", "A.", "Not Specified 2", "C1234567890", "BS-0123456789", "Version 2"])(
  "%j is a text of its own",
  (text) => {
    expect(isPlaceholder(text)).toBe(false);
    expect(ownSerial(` ${text} `)).toBe(text);
  },
);

test.each(["0", "00000000", "X", "XXXXXXXX", "FFFFFFFFFFFF", "1111"])(
  "%j may be a version, but is no serial number",
  (text) => {
    expect(isPlaceholder(text)).toBe(false);
    expect(ownSerial(text)).toBe("");
  },
);

test("no text at all is no placeholder, and no serial number", () => {
  expect(isPlaceholder("")).toBe(false);
  expect(ownSerial("")).toBe("");
});

test("binary data whose digits look like one is kept", () => {
  const partNumber = { encoding: "binary", text: "0123456789" } as const;
  expect(parseFru(encodeFru({ board: { partNumber } }))).toMatchObject({ board: { partNumber: "0123456789" } });
});
