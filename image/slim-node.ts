/**
 * The Node that goes into the single binaries: stripped and with ICU cut to English, 150 -> 116 MB (30 MB of that zeros).
 * Made once per Node and per version of this code, kept in a cache folder.
 */

import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { findIcuData, neededForEnglish, type Range, shrinkIcuData } from "./icu-data.ts";

export interface SlimNode {
  readonly path: string;
  /** The emptied bytes in the file, all zero; undefined when this Node carries no ICU data. */
  readonly hole: Range | undefined;
  readonly fromCache: boolean;
}

const stripLimitMs = 60_000;

/**
 * The slimmed copy of `node` (path of a Node executable) in `cacheDir`, which is made when missing. `strip`: binutils' one for
 * the architecture of that Node.
 * Throws when binutils' strip is missing or fails, or when the ICU data is not laid out as expected.
 */
export async function slimNode(node: string, cacheDir: string, strip = "strip"): Promise<SlimNode> {
  const hash = createHash("sha256");
  for (const input of [node, new URL(import.meta.url), new URL("./icu-data.ts", import.meta.url)]) {
    hash.update(await readFile(input));
  }
  const path = join(cacheDir, `node-${process.version}-${hash.digest("hex").slice(0, 16)}`);
  const cached = await readHole(path);
  if (cached) return { path, hole: cached.hole ?? undefined, fromCache: true };

  await mkdir(cacheDir, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  try {
    await execa(strip, ["-o", unfinished, node], { timeout: stripLimitMs });
    const bytes = await readFile(unfinished);
    const data = findIcuData(bytes);
    const hole = data && shrinkIcuData(bytes, data, neededForEnglish);
    await writeFile(unfinished, bytes, { mode: 0o755 });
    await writeFile(`${unfinished}.json`, JSON.stringify({ hole: hole ?? null }));
    // The description comes last: it alone says that the copy is whole.
    await rename(unfinished, path);
    await rename(`${unfinished}.json`, `${path}.json`);
    return { path, hole, fromCache: false };
  } finally {
    await rm(unfinished, { force: true });
    await rm(`${unfinished}.json`, { force: true });
  }
}

async function readHole(path: string): Promise<{ hole: Range | null } | undefined> {
  try {
    return JSON.parse(await readFile(`${path}.json`, "utf8")) as { hole: Range | null };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`slim Node: cannot read ${path}.json`, { cause: error });
  }
}
