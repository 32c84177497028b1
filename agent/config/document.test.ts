import { expect, test } from "vitest";
import { ConfigError } from "./config-error.ts";
import { readDocument } from "./document.ts";

const read = (text: string) => readDocument(Buffer.from(text), "document x");

test.each(["- ", "a: "])("%j ten thousand times is nested too deeply, and no fault of ours", async (piece) => {
  await expect(read(piece.repeat(10_000))).rejects.toThrow(ConfigError);
});

test("a document that is one long mistake is refused in a time that grows as its size does", async () => {
  const before = process.cpuUsage();
  await expect(read("? ?\n".repeat(16_000))).rejects.toThrow("a key that is not a plain text");
  // With the square of the size it was 1.4 s.
  expect(process.cpuUsage(before).user / 1000).toBeLessThan(800);
});

test("a doubled key is told by its place, also one that belongs to another program", async () => {
  const twice = "log: text\nlimit: 9\nlog: json\n";
  await expect(read(twice)).rejects.toThrow("line 3, column 1: neither JSON nor YAML: a key given twice");
  await expect(read('{"ca_cert":"x","port":1,"port":2}')).rejects.toThrow("a key given twice");
});
