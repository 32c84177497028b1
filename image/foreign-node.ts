/** Node for another kind of machine than this one: npm's package of it, which package-lock.json pins as it pins ours. */

import { createHash } from "node:crypto";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { exists } from "./debian-package.ts";
import type { Target } from "./target.ts";

const lockFile = join(import.meta.dirname, "../package-lock.json");
const fetchLimitMs = 600_000;

/**
 * The path of that Node, of the version that runs this: from the cache, else from npm.
 * @throws Error when package-lock.json does not pin it, or npm's registry gives something else
 */
export async function foreignNode(target: Target, cacheDir: string): Promise<string> {
  const name = `node-linux-${target.name}`;
  const folder = join(cacheDir, `${name}-${process.versions.node}`);
  const node = join(folder, "package/bin/node");
  if (await exists(node)) return node;
  const integrity = pinnedIntegrity(await readFile(lockFile, "utf8"), name, process.versions.node);
  const unfinished = `${folder}.${process.pid}`;
  try {
    await mkdir(unfinished, { recursive: true });
    const pack = ["pack", "--silent", "--pack-destination", unfinished, `${name}@${process.versions.node}`];
    const { stdout } = await execa("npm", pack, { cwd: unfinished, timeout: fetchLimitMs });
    const archive = join(unfinished, stdout.trim().split("\n").at(-1) ?? "");
    checkIntegrity(name, await readFile(archive), integrity);
    await execa("tar", ["-xzf", archive, "-C", unfinished], { timeout: fetchLimitMs });
    await rm(archive);
    await rm(folder, { recursive: true, force: true });
    await rename(unfinished, folder);
    return node;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

/** What that lock file says of the package: "sha512-..." @throws Error when it says nothing, or names another version */
export function pinnedIntegrity(lock: string, name: string, version: string): string {
  const { packages } = JSON.parse(lock) as { packages: Record<string, { version?: string; integrity?: string }> };
  const pinned = packages[`node_modules/${name}`];
  if (pinned?.version !== version || pinned.integrity === undefined) {
    throw new Error(`package-lock.json: pins ${name} ${pinned?.version ?? "not at all"}, not ${version}`);
  }
  return pinned.integrity;
}

/** @throws Error when the archive is not the one that `integrity` names (Subresource Integrity, as npm writes it) */
export function checkIntegrity(name: string, archive: Buffer, integrity: string): void {
  const actual = `sha512-${createHash("sha512").update(archive).digest("base64")}`;
  if (actual !== integrity)
    throw new Error(`${name}: npm's registry gave ${actual}, package-lock.json has ${integrity}`);
}
