import { expect, test } from "vitest";
import { encodeFru } from "./encode.ts";
import { parseFru } from "./parse.ts";
import { isPlaceholder } from "./placeholder.ts";

test.each([
  "To Be Filled By O.E.M.",
  "To be filled by O.E.M.",
  "TO BE FILLED BY O.E.M",
  "Default string",
  "System Serial Number",
  "0123456789",
  "Not Specified",
  "........",
  ".",
  "None",
  " none ",
])("%j stands for nothing", (text) => {
  expect(isPlaceholder(text)).toBe(true);
  const fru = parseFru(
    encodeFru({ board: { manufacturer: "Acme", serialNumber: text }, product: { custom: [text, "x"] } }),
  );
  expect(fru).toMatchObject({ board: { manufacturer: "Acme", serialNumber: "" }, product: { custom: ["", "x"] } });
});

test.each(["", "S123", "None-1", "1.0", "01234567890", "A.", "Not Specified 2"])("%j is a text of its own", (text) => {
  expect(isPlaceholder(text)).toBe(false);
});

test("binary data whose digits look like one is kept", () => {
  const partNumber = { encoding: "binary", text: "0123456789" } as const;
  expect(parseFru(encodeFru({ board: { partNumber } }))).toMatchObject({ board: { partNumber: "0123456789" } });
});
