/**
 * One executable from one bundle: `node --build-sea` with V8's code cache, the same bytes every time, without the pages
 * that slimming emptied.
 */

import { chmod, copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { execa } from "execa";
import { removeHole } from "./elf.ts";
import type { SlimNode } from "./slim-node.ts";

export interface SingleExecutable {
  /** The Node that builds; V8 takes the code cache only from the version that made it. */
  readonly node: string;
  readonly base: SlimNode;
  /** A bundle: one ECMAScript module (.mjs) or one CommonJS script (.cjs). */
  readonly main: string;
  /** Files to be read with `sea.getAsset(name)`, for example the bundle of a worker thread. */
  readonly assets: Readonly<Record<string, string>>;
  /** Node's options that hold whenever the executable runs. */
  readonly options: readonly string[];
  readonly output: string;
  /** A folder for files in between; emptied first. */
  readonly workDir: string;
}

const buildLimitMs = 60_000;
const runLimitMs = 30_000;
// Any fixed value: it only makes the string hashes within the code cache the same in every build.
const hashSeed = "--hash-seed=1";
// V8's code cache begins: magic, V8 version, source, flags; 32 bits each (src/snapshot/code-serializer.h).
const flagHashOffset = 12;
const resourceName = "NODE_SEA_BLOB";

/**
 * Builds the executable. Returns a sentence for the user when the emptied pages had to stay in.
 * Throws when the build fails or when V8 would not take the code cache.
 */
export async function buildSingleExecutable(wanted: SingleExecutable): Promise<string | undefined> {
  await rm(wanted.workDir, { recursive: true, force: true });
  await mkdir(wanted.workDir, { recursive: true });
  // Relative paths: the name of the main script becomes part of the executable.
  const main = basename(wanted.main);
  if (join(wanted.workDir, main) !== wanted.main) await copyFile(wanted.main, join(wanted.workDir, main));
  const config = {
    executable: relative(wanted.workDir, wanted.base.path),
    main,
    mainFormat: main.endsWith(".mjs") ? "module" : "commonjs",
    output: "executable",
    assets: Object.fromEntries(
      Object.entries(wanted.assets).map(([name, path]) => [name, relative(wanted.workDir, path)]),
    ),
    disableExperimentalSEAWarning: true,
    useCodeCache: true,
    execArgv: wanted.options,
    execArgvExtension: "none",
  };
  await writeFile(join(wanted.workDir, "sea.json"), JSON.stringify(config, null, 2));
  const environment = { env: { NODE_OPTIONS: "" }, cwd: wanted.workDir };
  await execa(wanted.node, [hashSeed, "--build-sea", "sea.json"], { ...environment, timeout: buildLimitMs });

  const unfinished = join(wanted.workDir, "executable");
  const built = await readFile(unfinished);
  adoptFlagHash(built, await codeCacheHead(wanted.node, [hashSeed]), await codeCacheHead(wanted.node, []));
  const { bytes, note } = withoutHole(built, wanted.base);
  await writeFile(unfinished, bytes);
  await chmod(unfinished, 0o755);
  await proveThatItRuns(unfinished);
  await rename(unfinished, wanted.output);
  return note;
}

/** The first 16 bytes of a code cache that Node makes when it runs with these options. */
async function codeCacheHead(node: string, options: readonly string[]): Promise<Buffer> {
  const script = `process.stdout.write(new (require("node:vm").Script)("0").createCachedData().toString("hex", 0, 16))`;
  const { stdout } = await execa(node, [...options, "--eval", script], {
    env: { NODE_OPTIONS: "" },
    timeout: runLimitMs,
  });
  return Buffer.from(stdout, "hex");
}

/**
 * A fixed hash seed makes the code cache reproducible, but it is a V8 flag, and V8 refuses a cache made under other flags
 * than it runs with. The hashes themselves are no reason to: V8 computes them anew when it loads a cache, because in normal use
 * every process has its own seed. So the cache says that it was made with the flags it will run with.
 */
export function adoptFlagHash(executable: Buffer, seeded: Buffer, plain: Buffer): void {
  const magicAndVersion = seeded.subarray(0, 8);
  const flags = seeded.subarray(flagHashOffset, flagHashOffset + 4);
  const found: number[] = [];
  const from = executable.lastIndexOf(resourceName);
  if (from < 0) throw new Error("code cache: the executable has no embedded program");
  for (let at = executable.indexOf(magicAndVersion, from); at >= 0; at = executable.indexOf(magicAndVersion, at + 1)) {
    if (executable.subarray(at + flagHashOffset, at + flagHashOffset + 4).equals(flags)) found.push(at);
  }
  const [only, ...others] = found;
  if (only === undefined || others.length > 0) {
    throw new Error(`code cache: its beginning was found ${found.length} times in the executable, not once`);
  }
  plain.copy(executable, only + flagHashOffset, flagHashOffset, flagHashOffset + 4);
}

function withoutHole(built: Buffer, base: SlimNode): { bytes: Buffer; note: string | undefined } {
  if (!base.hole) return { bytes: built, note: undefined };
  try {
    return { bytes: removeHole(built, base.hole), note: undefined };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { bytes: built, note: `the emptied pages stay in the file: ${reason}` };
  }
}

/** Node warns, and starts slowly, when V8 refuses the code cache; a broken executable does not come that far. */
async function proveThatItRuns(executable: string): Promise<void> {
  const { stderr } = await execa(executable, ["--help"], { timeout: runLimitMs, stdin: "ignore", env: { LANG: "C" } });
  if (stderr.includes("Code cache data rejected")) throw new Error("code cache: V8 refuses it");
}
