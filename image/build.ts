/** `npm run image`: builds all that boots the agent, from Debian's kernel and dist/metal-rivet. What there is: options.ts. */

import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { promisify } from "node:util";
import { gunzip, zstdDecompress } from "node:zlib";
import { execa } from "execa";
import { type Artefact, Artefacts, hashOf, sha256, writeWhole } from "./artefacts.ts";
import { biosBoot, grubFolder } from "./bios-boot.ts";
import { checkDocument, DocumentError } from "./check-document.ts";
import { buildRecord, installedComponents, kernelComponent, nodeComponents } from "./components.ts";
import { type DebianKernel, debianKernel, hasOption, KernelUnavailableError } from "./debian-kernel.ts";
import { diskImage } from "./disk-image.ts";
import { chooseAliases, chooseModules, type ModuleFile, wishedModules } from "./kernel-modules.ts";
import { help, type Options, readOptions, UsageError } from "./options.ts";
import { overlayPart } from "./overlay.ts";
import { joined, type PackedCpio, type PartSize, packCpio, plainCpio } from "./packed-cpio.ts";
import { type AgentTree, agentParts, movedToPrefix } from "./private-prefix.ts";
import { type KernelModules, ramdiskParts } from "./ramdisk.ts";
import { spdxDocument } from "./sbom.ts";
import { signed } from "./secure-boot.ts";
import { sharedLibraries } from "./shared-libraries.ts";
import { documentName, documentTemplate, readme, reportsFolder, uefiPath } from "./stick-files.ts";
import { unifiedKernelImage } from "./uki.ts";

const root = join(import.meta.dirname, "..");

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

const releaseLevel = 19;
const fastLevel = 3;
const toolLimitMs = 60_000;
const buildLimitMs = 300_000;
/** Debian's systemd-boot-efi. */
const stubPath = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/** Screen and first serial port show the same; what a program writes to /dev/console goes to the screen. */
const consoles = "console=ttyS0,115200 console=tty0 quiet panic=30";
/** By it the agent looks for the stick that it was started from. */
const fromStick = "rivet.stick=1";
/** 1980-01-01: no date within FAT is older. */
const oldestEpoch = 315_532_800;

const say = (text: string): void => console.log(`image: ${text}`);
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** The agent's path; builds it unless a file was named: a ramdisk with yesterday's agent in it would be a trap. */
async function agentFile(named: string | undefined): Promise<string> {
  if (named !== undefined) return named;
  const build = [join(root, "build.mjs"), "--only", "metal-rivet"];
  await execa(process.execPath, build, { stdio: "inherit", timeout: buildLimitMs });
  return join(root, "dist/metal-rivet");
}

async function kernelModules(kernel: DebianKernel): Promise<KernelModules> {
  const read = (name: string): Promise<string> => readFile(join(kernel.modules, name), "utf8");
  const [dep, softdep, alias, builtin] = await Promise.all([
    read("modules.dep"),
    read("modules.softdep"),
    read("modules.alias"),
    read("modules.builtin"),
  ]);
  const files = chooseModules({ dep, softdep, builtin }, wishedModules);
  const modules = await Promise.all(
    files.map(async ({ path, needs }) => ({
      file: { path: plainName(path), needs: needs.map(plainName) } satisfies ModuleFile,
      body: await readModule(kernel, path),
    })),
  );
  return { release: kernel.release, modules, aliases: chooseAliases(alias, files) };
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

/** This folder's code, which decides the layout, and Node, whose zstd packs. */
async function hashOfBuilder(): Promise<string> {
  const sources = (await readdir(import.meta.dirname)).filter((name) => name.endsWith(".ts")).sort();
  const bodies = await Promise.all(sources.map((name) => readFile(join(import.meta.dirname, name))));
  return hashOf([
    ...sources.map((name, index) => [name, bodies[index] ?? ""] as const),
    ["node", process.version] as const,
  ]);
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
  for (const { file, bytes } of artefacts) console.log(`${file.padEnd(22)}${megabytes(bytes).padStart(9)}`);
  const where = relative(process.cwd(), out) || ".";
  console.log(`${where}: Linux ${kernel.release}, ${modules.length} modules, zstd -${initramfs.zstdLevel}`);
}

/** Packs the agent once, for ramdisk and overlay alike, and only when one of them asks for it. */
function agentArchive(tree: AgentTree, level: number): () => Promise<PackedCpio> {
  let packed: Promise<PackedCpio> | undefined;
  return () => {
    if (packed === undefined) say(`packing the agent (zstd -${level}${level === fastLevel ? "" : ", about a minute"})`);
    packed ??= packCpio(agentParts(tree), level);
    return packed;
  };
}

async function main(): Promise<void> {
  const options = readOptions(root, process.argv.slice(2));
  if (options.help) return void process.stdout.write(help);
  const agentAt = await agentFile(options.agent);
  if (options.config !== undefined) await checkDocument([agentAt], options.config);
  const kernel = await debianKernel(join(root, "node_modules/.cache/metal-rivet"), say);
  if (!(await hasOption(kernel, "CONFIG_RD_ZSTD"))) {
    throw new Error(`Linux ${kernel.release} cannot unpack a ramdisk compressed by zstd (CONFIG_RD_ZSTD)`);
  }
  const before = options.force ? {} : await readManifest(options.out);
  const artefacts = new Artefacts(options.out, before.artefacts ?? []);
  const { modules, initramfs } = await buildAll(options, artefacts, agentAt, kernel);
  if (artefacts.made.length === 0) say("nothing has changed");
  const vmlinuz = artefacts.list.find(({ file }) => file === "vmlinuz");
  if (vmlinuz === undefined) throw new Error("manifest: there is no kernel");
  const manifest: Manifest = {
    kernel: { package: kernel.packageName, release: kernel.release, bytes: vmlinuz.bytes, sha256: vmlinuz.sha256 },
    initramfs,
    modules,
    artefacts: artefacts.list,
  };
  await writeWhole(join(options.out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  report(manifest, options.out);
}

/** Every artefact in turn: the later ones are made of the former. */
async function buildAll(
  options: Options,
  artefacts: Artefacts,
  agentAt: string,
  kernel: DebianKernel,
): Promise<Pick<Manifest, "modules" | "initramfs">> {
  const level = options.fast ? fastLevel : releaseLevel;
  const libraries = await sharedLibraries(agentAt);
  const tree: AgentTree = { agent: await movedToPrefix(agentAt), libraries };
  const ours = await kernelModules(kernel);
  const packedAgent = agentArchive(tree, level);
  const agentHash = hashOf([
    ["builder", await hashOfBuilder()],
    ["level", String(level)],
    ["agent", tree.agent],
    ...libraries.map(({ path, body }) => [path, body] as const),
  ]);

  const vmlinuzBody = await readFile(kernel.vmlinuz);
  const vmlinuz = await artefacts.provide("vmlinuz", sha256(vmlinuzBody), () => vmlinuzBody);
  const ramdiskHash = hashOf([
    ["agent", agentHash],
    ["release", ours.release],
    ["aliases", ours.aliases],
    ...ours.modules.map(({ file, body }) => [file.path, body] as const),
  ]);
  const initramfs = await artefacts.provide("initramfs.img", ramdiskHash, async () =>
    joined([await packCpio(ramdiskParts(ours), level), await packedAgent()]),
  );
  const overlayHash = hashOf([["agent", `${agentHash} ${options.plainOverlay ? "plain" : "zstd"}`]]);
  const overlay = await artefacts.provide("overlay.img", overlayHash, async () =>
    options.plainOverlay
      ? plainCpio([...agentParts(tree), overlayPart])
      : joined([await packedAgent(), await packCpio([overlayPart], level)]),
  );

  const record = await buildRecord(agentAt);
  const version = record?.version ?? JSON.parse(await readFile(join(root, "package.json"), "utf8")).version;
  const epochSeconds = Math.max(oldestEpoch, Number(process.env.SOURCE_DATE_EPOCH ?? oldestEpoch));
  const stub = await readFile(stubPath);
  const signing = options.signWith
    ? await Promise.all([readFile(options.signWith.keyFile), readFile(options.signWith.certFile)])
    : [];
  const efiHash = hashOf([
    ["ramdisk", ramdiskHash],
    ["kernel", vmlinuz],
    ["stub", stub],
    ["texts", `${version} ${epochSeconds} ${options.commandLine}`],
    ...signing.map((body) => ["signing", body] as const),
  ]);
  const efi = async (more: string): Promise<Buffer> => {
    const commandLine = [consoles, more, options.commandLine].filter(Boolean).join(" ");
    const image = unifiedKernelImage({ stub, kernel: vmlinuz, initramfs, commandLine, release: ours.release, version });
    return options.signWith ? await signed(image, options.signWith) : image;
  };
  const program = await artefacts.provide("metal-rivet.efi", efiHash, () => efi(""));

  const document = options.config === undefined ? Buffer.from(documentTemplate) : await readFile(options.config);
  const diskHash = hashOf([
    ["efi", efiHash],
    ["document", document],
    ["grub", await readFile(join(grubFolder, "boot.img"))],
  ]);
  const disk = async (): Promise<Buffer> => {
    const image = await efi(fromStick);
    const commandLine = [consoles, fromStick, options.commandLine].filter(Boolean).join(" ");
    return await diskImage({
      boot: await biosBoot(image, `/${uefiPath}`, commandLine),
      epochSeconds,
      files: new Map([
        ["EFI", undefined],
        ["EFI/BOOT", undefined],
        [uefiPath, image],
        [documentName, document],
        ["README.txt", Buffer.from(readme)],
        [reportsFolder, undefined],
      ]),
    });
  };
  // A document may hold a token, or a key.
  const diskMode = options.config === undefined ? 0o644 : 0o600;
  const stick = await artefacts.provide("metal-rivet.img", diskHash, disk, diskMode);

  const inRamdisk = await installedComponents(libraries.map(({ path }) => path));
  const kernelPackage = kernelComponent(kernel.packageName);
  const inEfi = [kernelPackage, ...inRamdisk, ...(await installedComponents([stubPath]))];
  const bill = spdxDocument({
    version,
    epochSeconds,
    agent: [...(record?.packages ?? []), ...nodeComponents(process.versions)],
    files: [
      { name: "vmlinuz", body: vmlinuz, hasAgent: false, holds: [kernelPackage] },
      { name: "initramfs.img", body: initramfs, hasAgent: true, holds: [kernelPackage, ...inRamdisk] },
      { name: "overlay.img", body: overlay, hasAgent: true, holds: inRamdisk },
      { name: "metal-rivet.efi", body: program, hasAgent: true, holds: inEfi },
      {
        name: "metal-rivet.img",
        body: stick,
        hasAgent: true,
        holds: [...inEfi, ...(await installedComponents([join(grubFolder, "boot.img")]))],
      },
    ],
  });
  await artefacts.provide("metal-rivet.spdx.json", sha256(bill), () => Buffer.from(bill));
  return { modules: ours.modules.map(({ file }) => file.path), initramfs: partsOf(artefacts, level) };
}

function partsOf(artefacts: Artefacts, zstdLevel: number): Manifest["initramfs"] {
  const found = artefacts.list.find(({ file }) => file === "initramfs.img");
  if (found === undefined) throw new Error("manifest: there is no ramdisk");
  const { bytes, sha256, parts = [] } = found;
  return { bytes, sha256, zstdLevel, parts };
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
  } else if (error instanceof DocumentError) {
    console.error(`image: ${error.message}`);
    process.exitCode = 78;
  } else {
    console.error("image: failed:", error);
    process.exitCode = 70;
  }
}
