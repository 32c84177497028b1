/**
 * `npm run image`: builds dist/image/vmlinuz and dist/image/initramfs.img from Debian's kernel and dist/metal-rivet.
 * What is in the ramdisk, and where: ramdisk.ts.
 */

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { parseArgs, promisify } from "node:util";
import { gunzip, zstdDecompress } from "node:zlib";
import { execa } from "execa";
import { type DebianKernel, debianKernel, hasOption, KernelUnavailableError } from "./debian-kernel.ts";
import { chooseAliases, chooseModules, type ModuleFile, wishedModules } from "./kernel-modules.ts";
import { type PartSize, packRamdisk, type RamdiskContents } from "./ramdisk.ts";
import { sharedLibraries } from "./shared-libraries.ts";

const root = join(import.meta.dirname, "..");

const help = `Usage: npm run image -- [--fast] [--force] [--agent FILE] [--out DIR]

Builds the kernel and the ramdisk in which the agent is process 1:
  dist/image/vmlinuz        Debian's current kernel, as it is
  dist/image/initramfs.img  the agent, its libraries and the kernel modules; zstd
  dist/image/manifest.json  sizes in bytes, SHA-256, kernel version
The same inputs give the same bytes; when nothing has changed, nothing is built.

  --fast        compress less: two seconds instead of a minute, for the lab
  --force       build although nothing has changed
  --agent FILE  the program that becomes /init (default: dist/metal-rivet, built anew)
  --out DIR     default: dist/image
  --help        this text

Exit codes: 0 built, 64 wrong usage, 69 no kernel package to be had, 70 the build failed.
`;

/** Written beside the images and read by those who boot or measure them. All sizes are bytes. */
interface Manifest {
  readonly kernel: {
    readonly package: string;
    readonly release: string;
    readonly bytes: number;
    readonly sha256: string;
  };
  readonly initramfs: {
    readonly bytes: number;
    readonly sha256: string;
    readonly zstdLevel: number;
    readonly parts: readonly PartSize[];
  };
  readonly modules: readonly string[];
  /** SHA-256 over everything the images are made from. */
  readonly inputs: string;
}

class UsageError extends Error {}

const releaseLevel = 19;
const fastLevel = 3;
const toolLimitMs = 60_000;
const buildLimitMs = 300_000;

const sha256 = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("hex");
const say = (text: string): void => console.log(`image: ${text}`);
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

function readArguments(): { fast: boolean; force: boolean; agent: string | undefined; out: string; help: boolean } {
  try {
    const { values } = parseArgs({
      options: {
        fast: { type: "boolean", default: false },
        force: { type: "boolean", default: false },
        agent: { type: "string" },
        out: { type: "string", default: join(root, "dist/image") },
        help: { type: "boolean", default: false },
      },
    });
    return { ...values, agent: values.agent };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** The agent's path; builds it unless a file was named: a ramdisk with yesterday's agent in it would be a trap. */
async function agentPath(named: string | undefined): Promise<string> {
  if (named !== undefined) return named;
  const build = [join(root, "build.mjs"), "--only", "metal-rivet"];
  await execa(process.execPath, build, { stdio: "inherit", timeout: buildLimitMs });
  return join(root, "dist/metal-rivet");
}

async function kernelModules(kernel: DebianKernel): Promise<{ files: ModuleFile[]; aliases: string }> {
  const read = (name: string): Promise<string> => readFile(join(kernel.modules, name), "utf8");
  const [dep, softdep, alias] = await Promise.all([
    read("modules.dep"),
    read("modules.softdep"),
    read("modules.alias"),
  ]);
  const files = chooseModules({ dep, softdep, builtin: await read("modules.builtin") }, wishedModules);
  return { files, aliases: chooseAliases(alias, files) };
}

/** A module as the agent will load it: uncompressed, under a name without the compression's suffix. */
async function readModule(kernel: DebianKernel, path: string): Promise<Buffer> {
  const bytes = await readFile(join(kernel.modules, path));
  if (path.endsWith(".xz")) {
    const options = { input: bytes, encoding: "buffer", timeout: toolLimitMs, maxBuffer: 256 * 1024 * 1024 } as const;
    return Buffer.from((await execa("xz", ["--decompress", "--stdout"], options)).stdout);
  }
  if (path.endsWith(".zst")) return await promisify(zstdDecompress)(bytes);
  if (path.endsWith(".gz")) return await promisify(gunzip)(bytes);
  return bytes;
}

const plainName = (path: string): string => path.replace(/\.(xz|zst|gz)$/, "");

async function collect(kernel: DebianKernel, agent: string): Promise<RamdiskContents> {
  const { files, aliases } = await kernelModules(kernel);
  const modules = await Promise.all(
    files.map(async ({ path, needs }) => ({
      file: { path: plainName(path), needs: needs.map(plainName) },
      body: await readModule(kernel, path),
    })),
  );
  const libraries = await sharedLibraries(agent);
  return { agent: await readFile(agent), libraries, release: kernel.release, modules, aliases };
}

/** One hash over the contents, this folder's code (it decides the layout), Node (its zstd) and the level. */
async function hashInputs(contents: RamdiskContents, vmlinuz: Buffer, level: number): Promise<string> {
  const hash = createHash("sha256");
  const add = (name: string, body: Buffer | string): void => void hash.update(`${name}\n${sha256(body)}\n`);
  const sources = (await readdir(import.meta.dirname)).filter((name) => name.endsWith(".ts")).sort();
  for (const name of sources) add(name, await readFile(join(import.meta.dirname, name)));
  add("level, node, release", `${level} ${process.version} ${contents.release}`);
  add("vmlinuz", vmlinuz);
  add("agent", contents.agent);
  for (const { path, body } of contents.libraries) add(path, body);
  for (const { file, body } of contents.modules) add(file.path, body);
  add("aliases", contents.aliases);
  return hash.digest("hex");
}

/** The manifest of what is in `out`, if that was made from the same inputs and is still whole. */
async function unchanged(out: string, inputs: string): Promise<Manifest | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(out, "manifest.json"), "utf8")) as Manifest;
    const [vmlinuz, initramfs] = await Promise.all([
      readFile(join(out, "vmlinuz")),
      readFile(join(out, "initramfs.img")),
    ]);
    const whole = sha256(vmlinuz) === manifest.kernel.sha256 && sha256(initramfs) === manifest.initramfs.sha256;
    return whole && manifest.inputs === inputs ? manifest : undefined;
  } catch {
    // Absent, half written or of another form: all the same reason to build.
    return undefined;
  }
}

/** So that nobody ever boots half a file. */
async function writeWhole(path: string, body: Buffer | string): Promise<void> {
  await writeFile(`${path}.new`, body);
  await rename(`${path}.new`, path);
}

function report(manifest: Manifest, out: string): void {
  const { kernel, initramfs } = manifest;
  const rows = [
    ["kernel", kernel.bytes, kernel.bytes],
    ...initramfs.parts.map(({ name, bytes, packed }) => [name, bytes, packed] as const),
    ["ramdisk", initramfs.parts.reduce((sum, { bytes }) => sum + bytes, 0), initramfs.bytes],
  ] as const;
  console.log(`${"".padEnd(10)}${"unpacked".padStart(10)}${"zstd".padStart(10)}`);
  for (const [name, bytes, packed] of rows) {
    const second = name === "kernel" ? "-" : megabytes(packed);
    console.log(`${name.padEnd(10)}${megabytes(bytes).padStart(10)}${second.padStart(10)}`);
  }
  const where = relative(process.cwd(), out) || ".";
  console.log(`${where}: Linux ${kernel.release}, ${manifest.modules.length} modules, zstd -${initramfs.zstdLevel}`);
}

async function main(): Promise<void> {
  const options = readArguments();
  if (options.help) return void process.stdout.write(help);
  const level = options.fast ? fastLevel : releaseLevel;
  const agent = await agentPath(options.agent);
  const kernel = await debianKernel(join(root, "node_modules/.cache/metal-rivet"), say);
  if (!(await hasOption(kernel, "CONFIG_RD_ZSTD"))) {
    throw new Error(`Linux ${kernel.release} cannot unpack a ramdisk compressed by zstd (CONFIG_RD_ZSTD)`);
  }
  const contents = await collect(kernel, agent);
  const vmlinuz = await readFile(kernel.vmlinuz);
  const inputs = await hashInputs(contents, vmlinuz, level);
  const present = options.force ? undefined : await unchanged(options.out, inputs);
  if (present) {
    say("nothing has changed");
    return report(present, options.out);
  }

  say(`packing the ramdisk (zstd -${level}${options.fast ? "" : ", about a minute"})`);
  const ramdisk = await packRamdisk(contents, level);
  const manifest: Manifest = {
    kernel: { package: kernel.packageName, release: kernel.release, bytes: vmlinuz.length, sha256: sha256(vmlinuz) },
    initramfs: { bytes: ramdisk.image.length, sha256: sha256(ramdisk.image), zstdLevel: level, parts: ramdisk.parts },
    modules: contents.modules.map(({ file }) => file.path),
    inputs,
  };
  await mkdir(options.out, { recursive: true });
  await writeWhole(join(options.out, "vmlinuz"), vmlinuz);
  await writeWhole(join(options.out, "initramfs.img"), ramdisk.image);
  await writeWhole(join(options.out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  report(manifest, options.out);
}

try {
  await main();
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`image: ${error.message}\nTry --help.`);
    process.exitCode = 64;
  } else if (error instanceof KernelUnavailableError) {
    console.error(`image: ${error.message}`);
    process.exitCode = 69;
  } else {
    console.error("image: failed:", error);
    process.exitCode = 70;
  }
}
