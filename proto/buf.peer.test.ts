import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const committed = join(root, "proto/gen");
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "proto-test-"));
});
afterAll(() => rm(scratch, { recursive: true }));

// buf starts its plugin by name, and that by its first line's "node": both must be the pinned ones.
const bin = join(root, "node_modules/.bin");
const buf = (...args: string[]) =>
  promisify(execFile)(join(bin, "buf"), args, {
    cwd: root,
    env: { ...process.env, PATH: `${bin}:${process.env.PATH}` },
  });

test("buf lint has nothing to say", async () => {
  await expect(buf("lint", "proto")).resolves.toEqual({ stdout: "", stderr: "" });
});

test("the contract is formatted", async () => {
  await expect(buf("format", "--diff", "--exit-code", "proto")).resolves.toEqual({ stdout: "", stderr: "" });
});

test("generating again gives the committed files byte for byte", async () => {
  await buf("generate", "--template", "proto/buf.gen.yaml", "--output", scratch);
  const made = await contents(join(scratch, "proto/gen"));
  expect([...made.keys()].sort()).toEqual([...(await contents(committed)).keys()].sort());
  expect(made.size).toBeGreaterThan(0);
  for (const [name, text] of made) expect(text, name).toBe(await readFile(join(committed, name), "utf8"));
});

async function contents(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    found.set(path.slice(directory.length + 1), await readFile(path, "utf8"));
  }
  return found;
}
