import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Artefacts } from "./artefacts.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "rivet-artefacts-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Builds "a" from these inputs as a builder that knows `previous` would. Returns what it lists, and whether it built. */
async function build(previous: Artefacts | undefined, inputs: string, content: string) {
  const artefacts = new Artefacts(folder, previous?.list ?? []);
  const bytes = await artefacts.provide("a", inputs, () => Buffer.from(content));
  return { artefacts, bytes: bytes.toString(), built: artefacts.made.length > 0 };
}

test("what was made from the same inputs is not made again", async () => {
  const first = await build(undefined, "1", "one");
  expect(first).toMatchObject({ built: true, bytes: "one" });
  const second = await build(first.artefacts, "1", "never");
  expect(second).toMatchObject({ built: false, bytes: "one" });
  expect(second.artefacts.list).toEqual(first.artefacts.list);
});

test("other inputs, a file that is gone and one that was changed are made again", async () => {
  const { artefacts } = await build(undefined, "1", "one");
  expect(await build(artefacts, "2", "two")).toMatchObject({ built: true, bytes: "two" });
  await writeFile(join(folder, "a"), "broken");
  expect(await build(artefacts, "1", "one")).toMatchObject({ built: true, bytes: "one" });
  await rm(join(folder, "a"));
  expect(await build(artefacts, "1", "one")).toMatchObject({ built: true, bytes: "one" });
});

test("a file with a secret in it is readable for its owner alone", async () => {
  const artefacts = new Artefacts(folder, []);
  await artefacts.provide("stick", "1", () => Buffer.from("token"), 0o600);
  expect((await stat(join(folder, "stick"))).mode & 0o777).toBe(0o600);
  expect(await readFile(join(folder, "stick"), "utf8")).toBe("token");
});
