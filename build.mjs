/**
 * Builds the three programs into dist/, each a single executable that needs no Node on the machine:
 * metal-rivet (the agent), bmcctl (the operator's command) and bmc-service.
 */

import { readFile, stat, writeFile } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { execa } from "execa";
import { foreignNode } from "./image/foreign-node.ts";
import { buildSingleExecutable } from "./image/single-executable.ts";
import { slimNode } from "./image/slim-node.ts";
import { targets } from "./image/target.ts";

const root = import.meta.dirname;

const quiet = "--disable-warning=ExperimentalWarning";
// SIGUSR1 would open Node's debugger on a port, and with it the memory that holds the passwords.
const closed = "--disable-sigusr1";
// A young generation of 1 MB halves the memory under load; a ramdisk has little, the service has enough.
const small = "--max-semi-space-size=1";

/**
 * `parts`: files that are loaded, with all that they import, when they are imported for the first time, and where their code
 * cache is `eager` (single-executable.ts).
 * `format`: a module ("esm") may use top-level await, but evaluates every module of Node that is imported anywhere before
 * its first line; "cjs" loads them when they are needed, which brings the agent's first line 10 ms forward.
 * @type {{ name: string, entry: string, format: "esm" | "cjs", parts: { entry: string, eager: boolean }[], options: string[] }[]}
 */
const programs = [
  {
    name: "metal-rivet",
    entry: "agent/main.ts",
    format: "cjs",
    parts: [
      { entry: "agent/later.ts", eager: true },
      { entry: "agent/inventory.ts", eager: false },
      { entry: "agent/screen/technician.ts", eager: false },
    ],
    options: [quiet, closed, small],
  },
  { name: "bmcctl", entry: "outband-client/cli/main.ts", format: "cjs", parts: [], options: [quiet, closed] },
  { name: "bmc-service", entry: "bmc-service/main.ts", format: "esm", parts: [], options: [quiet, closed] },
];

const help = `Usage: npm run build -- [--only NAME]... [--entry FILE]

Builds ${programs.map(({ name }) => `dist/${name}`).join(", ")}: single executables with Node inside.
The same sources give the same bytes. PROGRAM.packages.json beside each lists the npm packages in it.

  --only NAME   build this program only; may be repeated
  --entry FILE  build from this file instead (with one --only; for trying the packaging itself)
  --out DIR     where to put the executables (default: dist)
  --arch NAME   for machines of this kind: ${Object.keys(targets).join(" or ")} (default: x64); Node and binutils for
                another one are fetched or asked for
  --help        this text

Exit codes: 0 built, 64 wrong usage, 70 the build failed.
`;

class UsageError extends Error {}

function readArguments() {
  try {
    const { values } = parseArgs({
      options: {
        only: { type: "string", multiple: true },
        entry: { type: "string" },
        out: { type: "string" },
        arch: { type: "string", default: "x64" },
        help: { type: "boolean" },
      },
    });
    return values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function choose(only, entry) {
  const unknown = only?.filter((name) => !programs.some((program) => program.name === name)) ?? [];
  if (unknown.length > 0) {
    throw new UsageError(
      `--only: no program ${unknown.join(", ")}; there are ${programs.map((p) => p.name).join(", ")}`,
    );
  }
  const chosen = only ? programs.filter(({ name }) => only.includes(name)) : programs;
  if (entry && chosen.length !== 1) throw new UsageError("--entry: needs exactly one --only");
  return entry ? chosen.map((program) => ({ ...program, entry })) : chosen;
}

/** "0.1.0+1a2b3c4d5e6f" with the commit, "0.1.0" where git or the history is missing. */
async function version() {
  const { version: released } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const commit = await execa("git", ["rev-parse", "--short=12", "HEAD"], { cwd: root, reject: false, timeout: 10_000 });
  return commit.failed ? released : `${released}+${commit.stdout.trim()}`;
}

const partName = (entry) => `${basename(entry, ".ts")}.cjs`;

/**
 * Imports of a part are left to part-loader.cjs.
 * @param {{ entry: string }[]} parts
 * @returns {import("esbuild").Plugin}
 */
function partsLoadedLater(parts) {
  const names = new Map(parts.map(({ entry }) => [join(root, entry), partName(entry)]));
  return {
    name: "parts",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /\.ts$/ }, ({ kind, path, resolveDir }) => {
        const name = kind === "entry-point" ? undefined : names.get(join(resolveDir, path));
        return name === undefined ? undefined : { path: name, namespace: "part" };
      });
      onLoad({ filter: /.*/, namespace: "part" }, ({ path }) => ({
        contents: `module.exports = require("./image/part-loader.cjs").loadPart(${JSON.stringify(path)});`,
        resolveDir: root,
      }));
    },
  };
}

// What is bundled from CommonJS packages asks for Node's own modules by require, which a module does not have.
const requireForModules =
  'import{createRequire as __createRequire}from"node:module";const require=__createRequire("/");\n';

async function bundle(entry, outfile, { format, parts }, metalRivetVersion) {
  const { metafile } = await build({
    entryPoints: [entry],
    outfile,
    absWorkingDir: root,
    bundle: true,
    platform: "node",
    target: `node${process.versions.node}`,
    format,
    banner: {
      js: `${format === "esm" ? requireForModules : ""}${await readFile(join(root, "image/without-traces.cjs"), "utf8")}`,
    },
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "none",
    define: { METAL_RIVET_VERSION: JSON.stringify(metalRivetVersion) },
    plugins: [partsLoadedLater(parts)],
    // grpc-js loads .proto files at run time through this package, and only for its own channelz and reflection.
    alias: { "@grpc/proto-loader": join(root, "image/no-proto-loader.cjs") },
    logLevel: "warning",
    // There is no import.meta in CommonJS: a use of it would be undefined at run time.
    logOverride: format === "cjs" ? { "empty-import-meta": "error" } : {},
    metafile: true,
  });
  return Object.keys(metafile.inputs);
}

/**
 * The npm packages that these files are of, with version and licence, for the bill of materials (image/components.ts).
 * @param {string[]} inputs
 */
async function packagesOf(inputs) {
  const folders = inputs.flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []);
  const packages = await Promise.all(
    [...new Set(folders)].sort().map(async (folder) => {
      const { name, version, license } = JSON.parse(await readFile(join(root, folder, "package.json"), "utf8"));
      return { name, version, license: typeof license === "string" ? license : null };
    }),
  );
  return packages;
}

async function main() {
  const { only, entry, out, arch, help: wantsHelp } = readArguments();
  if (wantsHelp) return void process.stdout.write(help);
  const chosen = choose(only, entry);
  const target = targets[arch];
  if (target === undefined) throw new UsageError(`--arch: ${Object.keys(targets).join(" or ")}, not ${arch}`);
  const native = target.name === process.arch;
  const dist = out ?? join(root, "dist");
  const started = performance.now();
  const seconds = () => `${((performance.now() - started) / 1000).toFixed(1)} s`;

  const cache = join(root, "node_modules/.cache/metal-rivet");
  const base = await slimNode(native ? process.execPath : await foreignNode(target, cache), cache, target.strip);
  console.log(`node ${process.version}: slimmed${base.fromCache ? " (from the cache)" : ""}, ${seconds()}`);
  const metalRivetVersion = await version();
  for (const program of chosen) {
    const workDir = join(dist, ".build", program.name);
    const bundles = join(dist, ".build", `${program.name}.bundles`);
    const parts = [];
    const inputs = [];
    for (const { entry: part, eager } of program.parts) {
      const name = partName(part);
      const path = join(bundles, name);
      inputs.push(...(await bundle(part, path, program, metalRivetVersion)));
      parts.push({ name, path, eager });
    }
    const main = join(bundles, `${program.name}.${program.format === "esm" ? "mjs" : "cjs"}`);
    inputs.push(...(await bundle(program.entry, main, program, metalRivetVersion)));
    const output = join(dist, program.name);
    const note = await buildSingleExecutable({
      node: process.execPath,
      base,
      native,
      main,
      parts,
      options: program.options,
      output,
      workDir,
    });
    if (note) console.log(`${program.name}: ${note}`);
    const record = { version: metalRivetVersion, packages: await packagesOf(inputs) };
    await writeFile(`${output}.packages.json`, `${JSON.stringify(record, null, 2)}\n`);
    const { size } = await stat(output);
    const sizes = await Promise.all(
      [main, ...parts.map(({ path }) => path)].map(async (file) => (await stat(file)).size),
    );
    const code = sizes.reduce((sum, each) => sum + each, 0);
    const path = relative(process.cwd(), output);
    console.log(
      `${path}: ${metalRivetVersion}, ${(size / 1e6).toFixed(1)} MB, program ${Math.round(code / 1e3)} kB, ${seconds()}`,
    );
  }
}

try {
  await main();
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`build: ${error.message}\nTry --help.`);
    process.exitCode = 64;
  } else {
    console.error("build: failed:", error);
    process.exitCode = 70;
  }
}
