import { expect, test } from "vitest";
import { jsonDocument, pairs, table, yamlDocument } from "./output.ts";

test("a table's columns are as wide as their widest cell, and no line ends in spaces", () => {
  expect(
    table(
      ["A", "LONG HEAD", "C"],
      [
        ["1", "", ""],
        ["longer", "x", "größer"],
        ["", "", "y"],
      ],
    ),
  ).toBe(`\
A        LONG HEAD   C
1
longer   x           größer
                     y
`);
});

test("10,000 rows take a fraction of a second", () => {
  const row = ["92:33:b8:0e:df:8f", "10.0.0.1", "Supermicro", "Redfish", "37c43c25-69fe-4f88-b69d-4e71dc4070d0"];
  const startedAt = performance.now();
  expect(table(row, Array(10_000).fill(row)).length).toBeGreaterThan(900_000);
  expect(performance.now() - startedAt).toBeLessThan(1_000);
});

test("pairs flatten a document", () => {
  expect(pairs({ a: 1, b: { c: true, d: { e: "x" } }, f: ["g", "h"], i: [{ j: 1 }] })).toBe(`\
KEY     VALUE
a       1
b.c     true
b.d.e   x
f       g, h
i       {"j":1}
`);
});

// A reader of YAML 1.1 (Go, Python) must get back the same text: neither time, number, sexagesimal number nor truth value.
test.each([
  ["2024-11-19T11:15:53.760Z", true],
  ["3.6", true],
  ["1e5", true],
  ["ON", true],
  ["no", true],
  ["10:20:30:40:50:10", true],
  ["0x10", true],
  ["~", true],
  ["[hidden]", true],
  ["a: b", true],
  ["=", true],
  ["<<", true],
  ["92:33:b8:0e:df:8f", false],
  ["12/31/2021", false],
  ["American Megatrends Inc.", false],
])("in YAML %s is quoted: %s", (text, quoted) => {
  expect(yamlDocument({ key: text })).toBe(`---\nkey: ${quoted ? JSON.stringify(text) : text}\n`);
});

test("JSON is indented and ends in a line break", () => {
  expect(jsonDocument([{ a: 1 }])).toBe('[\n  {\n    "a": 1\n  }\n]\n');
});
