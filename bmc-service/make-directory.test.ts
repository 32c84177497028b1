import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeDirectory } from "./make-directory.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "make-directory-"));
});

afterEach(() => rmSync(directory, { recursive: true }));

test("makes those above it too, once", async () => {
  const path = join(directory, "a", "b", "c");
  await makeDirectory(path, 0o700);
  await makeDirectory(path, 0o755);
  expect(statSync(path).mode & 0o777).toBe(0o700);
});

test("refuses what a file stands in the way of", async () => {
  writeFileSync(join(directory, "file"), "");
  await expect(makeDirectory(join(directory, "file"), 0o700)).rejects.toMatchObject({ code: "EEXIST" });
  await expect(makeDirectory(join(directory, "file", "a"), 0o700)).rejects.toMatchObject({ code: "ENOTDIR" });
});

test.runIf(existsSync("/proc/self"))(
  "ends where nothing can be made (without /proc there is no such place)",
  async () => {
    await expect(makeDirectory("/proc/nothing/here", 0o700)).rejects.toMatchObject({ code: "ENOENT" });
  },
);
