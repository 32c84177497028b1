import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");

/** Folders whose decoders meet bytes that somebody else made. */
const folders = [
  "ipmi",
  "inband",
  "outband-client/lan",
  "agent/clock",
  "agent/config",
  "agent/init/network",
  "agent/stick",
];

/** Decoders that are fed through another one. */
const inside: Readonly<Record<string, string>> = {
  parseFruFrom: "parseFru",
  decodeRefused: "decodeRakp2",
  parseKernelCommandLine: "readKernelKeys",
  parseIpParameter: "parseIpParameters",
};

const sources = (pattern: string): string =>
  globSync(pattern, { cwd: root })
    .filter((path) => !/\.(test|fixture)\.ts$/.test(path))
    .map((path) => readFileSync(join(root, path), "utf8"))
    .join("\n");

test("every exported function that decodes or parses is fuzzed", () => {
  const declared = sources(`{${folders.join(",")}}/**/*.ts`).matchAll(
    /^export (?:async )?(?:function|const) ((?:decode|parse|unwrap)[A-Z]\w*)/gm,
  );
  const names = Array.from(declared, ([, name = ""]) => name);
  expect(names.length).toBeGreaterThan(30);
  const fuzzed = sources("test/fuzz/decoders/*.ts");
  const isFuzzed = (name: string) => new RegExp(`\\b${inside[name] ?? name}\\b`).test(fuzzed);
  // Add it to a file of test/fuzz/decoders; CONTRIBUTING.md says how.
  expect(names.filter((name) => !isFuzzed(name))).toEqual([]);
});
