import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

/* THREATS.md names a test for each line; here is whether there are such tests. */

const root = join(import.meta.dirname, "..");
const text = readFileSync(join(root, "THREATS.md"), "utf8");

interface Named {
  readonly name: string;
  readonly file: string;
}

function testsNamedIn(markdown: string): Named[] {
  const links = markdown.matchAll(/\[([^\]]+)\]\(([^)]+\.test\.ts)\)/g);
  return [...links].map(([, name = "", file = ""]) => ({ name: name.replace(/\s+/g, " "), file }));
}

/** Lines of the tables that have a test for each threat. */
function threatLines(markdown: string): string[] {
  const tables = markdown
    .split(/^(?=\| )/m)
    .join("")
    .split("\n\n");
  return tables
    .filter((table) => table.trim().startsWith("| threat "))
    .flatMap((table) => table.trim().split("\n").slice(2));
}

function isThere({ name, file }: Named): boolean {
  const path = join(root, file);
  if (!existsSync(path)) return false;
  const quoted = [`"${name}"`, `\`${name}\``, `'${name}'`];
  const source = readFileSync(path, "utf8");
  return quoted.some((each) => source.includes(each));
}

describe("THREATS.md", () => {
  test("names tests that there are", () => {
    const named = testsNamedIn(text);
    expect(named.length).toBeGreaterThan(50);
    expect(named.filter((each) => !isThere(each))).toEqual([]);
  });

  test("names one for each threat", () => {
    const lines = threatLines(text);
    expect(lines.length).toBeGreaterThan(35);
    expect(lines.filter((line) => testsNamedIn(line).length === 0)).toEqual([]);
  });
});

test("a test that is not there is found missing", () => {
  const wrong = testsNamedIn(
    "[names tests that there are](test/threats.test.ts), [x](test/no-such.test.ts), [no test has this name](test/borders.test.ts)",
  );
  expect(wrong.map(isThere)).toEqual([true, false, false]);
});
