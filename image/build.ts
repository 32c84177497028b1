/** `npm run image`: builds all that boots the agent, from Debian's kernel and dist/metal-rivet. What there is: options.ts. */

import { access, constants, mkdir, open, readFile, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { execa } from "execa";
import { type Artefact, Artefacts, writeWhole } from "./artefacts.ts";
import { checkDocument, DocumentError } from "./check-document.ts";
import { DebianMirror, PackageUnavailableError } from "./debian-package.ts";
import { elfMachine, isElf64 } from "./elf.ts";
import { buildImages, levels } from "./image-set.ts";
import { gather } from "./ingredients.ts";
import { help, type Options, readOptions, UsageError } from "./options.ts";
import type { PartSize } from "./packed-cpio.ts";
import { checkPair, SigningKeyError } from "./secure-boot.ts";
import type { Target } from "./target.ts";

const root = join(import.meta.dirname, "..");
const buildLimitMs = 300_000;

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
  readonly artefacts: readonly Artefact[];
}

const say = (text: string): void => console.log(`image: ${text}`);
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** The agent's path; builds it unless a file was named: a ramdisk with yesterday's agent in it would be a trap. */
async function agentFile({ agent, target }: Options): Promise<string> {
  if (agent !== undefined) return agent;
  const folder = join(root, "dist", target.name === process.arch ? "" : target.name);
  const build = [join(root, "build.mjs"), "--only", "metal-rivet", "--arch", target.name, "--out", folder];
  await execa(process.execPath, build, { stdio: "inherit", timeout: buildLimitMs });
  return join(folder, "metal-rivet");
}

/** Before minutes are spent. @throws UsageError that names a file that cannot be read */
async function checkFiles({ agent, signWith, target }: Options): Promise<void> {
  const named = { "--agent": agent, "--sign-key": signWith?.keyFile, "--sign-cert": signWith?.certFile };
  for (const [option, path] of Object.entries(named)) {
    if (path === undefined) continue;
    try {
      await access(path, constants.R_OK);
    } catch (error) {
      throw new UsageError(`${option}: cannot read ${path} (${(error as NodeJS.ErrnoException).code})`);
    }
  }
  if (agent !== undefined && !(await isProgramFor(target, agent))) {
    throw new UsageError(`--agent: ${agent} is no program for ${target.name} (ELF)`);
  }
  if (signWith !== undefined) await checkPair(signWith);
}

async function isProgramFor({ elfMachine: machine }: Target, path: string): Promise<boolean> {
  if (!(await stat(path)).isFile()) return false;
  await using file = await open(path);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(64), 0, 64, 0);
  const header = buffer.subarray(0, bytesRead);
  return isElf64(header) && elfMachine(header) === machine;
}

/** The command that starts the agent on this machine: its sources, where the built one is for another machine. */
function agentHere({ target }: Options, agentAt: string): readonly [string, ...string[]] {
  if (target.name === process.arch) return [agentAt];
  return [process.execPath, "--disable-warning=ExperimentalWarning", join(root, "agent/main.ts")];
}

async function readManifest(out: string): Promise<Partial<Manifest>> {
  try {
    return JSON.parse(await readFile(join(out, "manifest.json"), "utf8")) as Partial<Manifest>;
  } catch {
    // Absent, half written or of another form: all the same reason to build.
    return {};
  }
}

function report({ kernel, initramfs, modules, artefacts }: Manifest, out: string): void {
  const rows = [
    ...initramfs.parts.map(({ name, bytes, packed }) => [name, bytes, packed] as const),
    ["ramdisk", initramfs.parts.reduce((sum, { bytes }) => sum + bytes, 0), initramfs.bytes] as const,
  ];
  console.log(`${"".padEnd(10)}${"unpacked".padStart(10)}${"zstd".padStart(10)}`);
  for (const [name, bytes, packed] of rows) {
    console.log(`${name.padEnd(10)}${megabytes(bytes).padStart(10)}${megabytes(packed).padStart(10)}`);
  }
  for (const { file, bytes } of artefacts) console.log(`${file.padEnd(22)}${megabytes(bytes).padStart(8)}`);
  const where = relative(process.cwd(), out) || ".";
  console.log(`${where}: Linux ${kernel.release}, ${modules.length} modules, zstd -${initramfs.zstdLevel}`);
}

async function main(): Promise<void> {
  const options = readOptions(root, process.argv.slice(2));
  if (options.help) return void process.stdout.write(help);
  await checkFiles(options);
  const agentAt = await agentFile(options);
  if (options.config !== undefined) await checkDocument(agentHere(options, agentAt), options.config);
  const cacheDir = join(root, "node_modules/.cache/metal-rivet");
  const from = await gather(options.target, agentAt, new DebianMirror(cacheDir, say), cacheDir);
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };

  await mkdir(options.out, { recursive: true });
  const before = options.force ? {} : await readManifest(options.out);
  const artefacts = new Artefacts(options.out, before.artefacts ?? []);
  await buildImages(options, artefacts, from, version, say);
  if (artefacts.made.length === 0) say("nothing has changed");
  const [vmlinuz, initramfs] = [artefacts.named("vmlinuz"), artefacts.named("initramfs.img")];
  const manifest: Manifest = {
    kernel: {
      package: from.kernelPackage,
      release: from.modules.release,
      bytes: vmlinuz.bytes,
      sha256: vmlinuz.sha256,
    },
    initramfs: {
      bytes: initramfs.bytes,
      sha256: initramfs.sha256,
      zstdLevel: options.fast ? levels.fast : levels.release,
      parts: initramfs.parts ?? [],
    },
    modules: from.modules.modules.map(({ file }) => file.path),
    artefacts: artefacts.list,
  };
  await writeWhole(join(options.out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  report(manifest, options.out);
}

try {
  await main();
} catch (error) {
  if (error instanceof UsageError) {
    console.error(`image: ${error.message}\nTry --help.`);
    process.exitCode = 64;
  } else if (error instanceof PackageUnavailableError) {
    console.error(`image: ${error.message}`);
    process.exitCode = 69;
  } else if (error instanceof DocumentError || error instanceof SigningKeyError) {
    console.error(`image: ${error.message}`);
    process.exitCode = 78;
  } else {
    console.error("image: failed:", error);
    process.exitCode = 70;
  }
}
