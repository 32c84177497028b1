import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { startChild, tailOf } from "./child.ts";
import { within } from "./deadline.ts";

/** The checkout. */
export const repository = resolve(import.meta.dirname, "../..");

const imageDirectory = join(repository, "dist/lab-image");

/** The programs of `npm run build`, and a kernel and ramdisk that are packed in a hurry: `npm run image` makes the small ones. */
export const artifacts = {
  metalRivet: join(repository, "dist/metal-rivet"),
  bmcctl: join(repository, "dist/bmcctl"),
  bmcService: join(repository, "dist/bmc-service"),
  kernel: join(imageDirectory, "vmlinuz"),
  initramfs: join(imageDirectory, "initramfs.img"),
  overlay: join(imageDirectory, "overlay.img"),
  stick: join(imageDirectory, "metal-rivet.img"),
} as const;

/** What `npm run image` makes: packed as small as it gets. */
export const releaseImage = {
  kernel: join(repository, "dist/image/vmlinuz"),
  initramfs: join(repository, "dist/image/initramfs.img"),
  overlay: join(repository, "dist/image/overlay.img"),
  efi: join(repository, "dist/image/metal-rivet.efi"),
  manifest: join(repository, "dist/image/manifest.json"),
} as const;

const stampFile = join(repository, "dist/.lab-stamp.json");
const sourceRoots = ["agent", "inband", "ipmi", "outband-client", "bmc-service", "proto", "image"];
const sourceFiles = ["build.mjs", "package.json", "package-lock.json"];

/** Building a binary and a ramdisk on a slow machine, downloads included. */
const buildLimitMs = 15 * 60_000;

export interface BuildResult {
  /** True: everything was there already and came from these sources. */
  readonly upToDate: boolean;
}

/**
 * Builds binaries and ramdisk unless they are there and came from the sources as they are now.
 * @param logFile where the build's output goes
 * @throws Error with the end of that log if a build fails
 */
export async function ensureBuilt(logFile: string, signal?: AbortSignal): Promise<BuildResult> {
  const sources = hashOfSources();
  const present = stampFor(sources);
  if (present !== undefined && present === readStamp()) return { upToDate: true };
  await build(["build.mjs"], logFile, signal);
  await build(["image/build.ts", "--fast", "--agent", artifacts.metalRivet, "--out", imageDirectory], logFile, signal);
  const stamp = stampFor(sources);
  if (stamp === undefined) throw new Error(`the build left out one of ${Object.values(artifacts).join(", ")}`);
  mkdirSync(join(repository, "dist"), { recursive: true });
  writeFileSync(stampFile, stamp);
  return { upToDate: false };
}

/**
 * Packs the ramdisk as it is released, unless that was done from these programs already.
 * @throws Error with the end of the log if that fails
 */
export async function buildReleaseImage(logFile: string, signal?: AbortSignal): Promise<void> {
  await build(["image/build.ts", "--agent", artifacts.metalRivet], logFile, signal);
}

async function build(
  args: readonly [script: string, ...string[]],
  logFile: string,
  signal?: AbortSignal,
): Promise<void> {
  const [script] = args;
  // Two labs that begin at the same time build one after the other.
  mkdirSync(join(repository, "dist"), { recursive: true });
  const lock = ["--no-fork", join(repository, "dist/.lab-build.lock"), process.execPath];
  const child = await startChild({ command: "flock", args: [...lock, ...args], cwd: repository, logFile });
  try {
    const { code } = await within(`${script} (log: ${logFile})`, buildLimitMs, child.exited, signal);
    if (code !== 0) throw new Error(`${script} failed with exit code ${code}; its log ends with:\n${tailOf(logFile)}`);
  } finally {
    await child.stop();
  }
}

function readStamp(): string | undefined {
  try {
    return readFileSync(stampFile, "utf8");
  } catch {
    return undefined;
  }
}

/** Names the sources and the very files that were built; undefined if one of these is missing. */
function stampFor(sources: string): string | undefined {
  try {
    const outputs = Object.values(artifacts).map((file) => {
      const { size, mtimeMs } = statSync(file);
      return [relative(repository, file), size, mtimeMs];
    });
    return JSON.stringify({ sources, outputs });
  } catch {
    return undefined;
  }
}

function hashOfSources(): string {
  const hash = createHash("sha256");
  for (const file of sourceRoots.flatMap((root) => filesBelow(join(repository, root))).sort()) {
    if (file.endsWith(".test.ts")) continue;
    hash.update(`${relative(repository, file)}\0`).update(readFileSync(file));
  }
  for (const file of sourceFiles) hash.update(`${file}\0`).update(readFileSync(join(repository, file)));
  return hash.digest("hex");
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
