/**
 * One executable from its bundles: `node --build-sea` with V8's code cache, the same bytes every time, without the pages
 * that slimming emptied.
 */

import { chmod, copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { execa } from "execa";
import { removeHole } from "./elf.ts";
import type { SlimNode } from "./slim-node.ts";

/** What a program loads when it first needs it. */
export interface Part {
  /** Name of the asset. */
  readonly name: string;
  /** A CommonJS bundle. */
  readonly path: string;
  /**
   * Whether the code cache holds every function, and not only what stands outside of functions: worth it for a part of
   * which most is called, because compiling a function when it is called takes longer than reading it.
   */
  readonly eager: boolean;
}

export interface SingleExecutable {
  /** The Node that builds; V8 takes the code cache only from the version that made it. */
  readonly node: string;
  readonly base: SlimNode;
  /**
   * Whether `base` runs on this machine. One that does not gets no code cache, which only itself could make: it starts more
   * slowly, and is not tried.
   */
  readonly native: boolean;
  /** A bundle: one ECMAScript module (.mjs) or one CommonJS script (.cjs). */
  readonly main: string;
  /** Bundles that become assets, each with its code cache, for part-loader.cjs. */
  readonly parts: readonly Part[];
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
    assets: await addParts(wanted),
    disableExperimentalSEAWarning: true,
    useCodeCache: wanted.native,
    execArgv: wanted.options,
    execArgvExtension: "none",
  };
  await writeFile(join(wanted.workDir, "sea.json"), JSON.stringify(config, null, 2));
  const environment = { env: { NODE_OPTIONS: "" }, cwd: wanted.workDir };
  await execa(wanted.node, [hashSeed, ...wanted.options, "--build-sea", "sea.json"], {
    ...environment,
    timeout: buildLimitMs,
  });

  const unfinished = join(wanted.workDir, "executable");
  const built = await readFile(unfinished);
  if (wanted.native) {
    const head = (more: readonly string[]) => codeCache(wanted.node, [...wanted.options, ...more], "0");
    adoptFlagHash(built, built.lastIndexOf(resourceName), await head([hashSeed]), await head([]));
  }
  const { bytes, note } = withoutHole(built, wanted.base);
  await writeFile(unfinished, bytes);
  await chmod(unfinished, 0o755);
  if (wanted.native) await proveThatItRuns(unfinished);
  await rename(unfinished, wanted.output);
  return note;
}

/** Writes the parts and their code caches to the work directory. Returns the assets of the executable. */
async function addParts({ node, native, options, parts, workDir }: SingleExecutable): Promise<Record<string, string>> {
  const assets: Record<string, string> = {};
  for (const { name, path, eager } of parts) {
    // the parameters are what part-loader.cjs passes
    const source = `(function(require,module,exports){${await readFile(path, "utf8")}\n})`;
    await writeFile(join(workDir, name), source);
    assets[name] = name;
    if (!native) continue;
    const caching = [...options, hashSeed, ...(eager ? ["--no-lazy"] : [])];
    const cache = await codeCache(node, caching, source);
    adoptFlagHash(cache, 0, await codeCache(node, caching, "0"), await codeCache(node, options, "0"));
    await writeFile(join(workDir, `${name}.cache`), cache);
    await proveThatCacheIsTaken(node, options, join(workDir, name));
    assets[`${name}.cache`] = `${name}.cache`;
  }
  return assets;
}

/** The code cache that Node makes of a script when it runs with these options. */
async function codeCache(node: string, options: readonly string[], source: string): Promise<Buffer> {
  const script = `process.stdout.write(new (require("node:vm").Script)(require("node:fs").readFileSync(0, "utf8")).createCachedData())`;
  const { stdout } = await execa(node, [...options, "--eval", script], {
    input: source,
    env: { NODE_OPTIONS: "" },
    timeout: runLimitMs,
    encoding: "buffer",
    stripFinalNewline: false,
    maxBuffer: 64 * 1024 * 1024,
  });
  return Buffer.from(stdout);
}

async function proveThatCacheIsTaken(node: string, options: readonly string[], path: string): Promise<void> {
  const script = `const { readFileSync } = require("node:fs");
    const [, path] = process.argv;
    const cachedData = readFileSync(path + ".cache");
    const { cachedDataRejected } = new (require("node:vm").Script)(readFileSync(path, "utf8"), { cachedData });
    process.stdout.write(cachedDataRejected ? "refused" : "taken");`;
  const { stdout } = await execa(node, [...options, "--eval", script, path], {
    env: { NODE_OPTIONS: "" },
    timeout: runLimitMs,
  });
  if (stdout !== "taken") throw new Error(`code cache of ${basename(path)}: V8 refuses it`);
}

/**
 * A fixed hash seed makes the code cache reproducible, but it is a V8 flag, and V8 refuses a cache made under other flags
 * than it runs with. The hashes themselves are no reason to: V8 computes them anew when it loads a cache, because in normal use
 * every process has its own seed. So the one cache in `bytes` behind `from` says that it was made with the flags it will run
 * with. `seeded` and `plain` are any code caches made under the one and the other.
 */
export function adoptFlagHash(bytes: Buffer, from: number, seeded: Buffer, plain: Buffer): void {
  const magicAndVersion = seeded.subarray(0, 8);
  const flags = seeded.subarray(flagHashOffset, flagHashOffset + 4);
  const found: number[] = [];
  if (from < 0) throw new Error("code cache: the executable has no embedded program");
  for (let at = bytes.indexOf(magicAndVersion, from); at >= 0; at = bytes.indexOf(magicAndVersion, at + 1)) {
    if (bytes.subarray(at + flagHashOffset, at + flagHashOffset + 4).equals(flags)) found.push(at);
  }
  const [only, ...others] = found;
  if (only === undefined || others.length > 0) {
    throw new Error(`code cache: its beginning was found ${found.length} times, not once`);
  }
  plain.copy(bytes, only + flagHashOffset, flagHashOffset, flagHashOffset + 4);
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
