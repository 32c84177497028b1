import fc from "fast-check";
import { expect, test } from "vitest";
import { readDocument } from "./document.ts";
import { readPlainJson } from "./plain-json.ts";

test("an object of our keys is read, and gives what the reader of YAML gives", async () => {
  const document = { service: "10.0.0.1:4443", ca: 'a "PEM"\n\\ \u00e9\n', limit: 300, rotate: true, log: "json" };
  for (const text of [JSON.stringify(document), `${JSON.stringify(document, undefined, 2)}\n`]) {
    const read = readPlainJson(text);
    expect(Object.fromEntries(read ?? [])).toEqual({ ...document, limit: "300", rotate: "true" });
    // A comment is YAML alone.
    expect((await readDocument(Buffer.from(`# site\n${text}`), "document x")).values).toEqual(read);
    expect(await readDocument(Buffer.from(text), "document x")).toEqual({ values: read, form: "rivet" });
  }
});

test.each([
  "",
  "{}",
  "service: a",
  '{"service":"a"',
  '{"service":"a",}',
  '{"service":"a"} {}',
  '{"service":"a","service":"b"}',
  '{"unknown":"a"}',
  '{"ca_cert":"a"}',
  '{"service":["a"]}',
  '{"service":null}',
  '{"service":{"a":1}}',
  '{"service":"\\x"}',
  '{"service":"a\nb"}',
  "{'service':'a'}",
  '[{"service":"a"}]',
])("%j is left to the reader of YAML", (text) => expect(readPlainJson(text)).toBeUndefined());

test("any text is read or left, in a time that grows as its size does", () => {
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom(...'{}":, \\abn1[') }), (text) => void readPlainJson(text)));
  for (const piece of ['"', '{"service":"', "\\", ' {"log" :'])
    expect(readPlainJson(`{${piece.repeat(50_000)}`)).toBeUndefined();
});
