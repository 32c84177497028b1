/** Builds the artefacts in their order: each is made of those before it. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Artefacts, hashOf, sha256 } from "./artefacts.ts";
import { biosBoot, grubFolder } from "./bios-boot.ts";
import { installedComponents, nodeComponents } from "./components.ts";
import { diskImage } from "./disk-image.ts";
import type { Ingredients } from "./ingredients.ts";
import type { Options } from "./options.ts";
import { overlayPart } from "./overlay.ts";
import { behindAnother, type CpioPart, joined, type PackedCpio, packCpio, plainCpio } from "./packed-cpio.ts";
import { agentParts } from "./private-prefix.ts";
import { ramdiskParts } from "./ramdisk.ts";
import { type BuiltFile, type PackedFile, spdxDocument } from "./sbom.ts";
import { signed } from "./secure-boot.ts";
import { stickFiles, uefiFolder } from "./stick-files.ts";
import { unifiedKernelImage } from "./uki.ts";

/** zstd's, for the ramdisk. */
export const levels = { release: 19, fast: 3 } as const;
/**
 * On the screen, for a person: no messages of the kernel; a panic is to be read before the machine starts again. The root in
 * memory may have all of it: tmpfs, the default, takes half, which in 384 MB is too little beside UEFI with Secure Boot.
 */
const forPeople = "quiet panic=30 rootfstype=ramfs";
/** By it the agent looks for the stick that it was started from. */
const fromStick = "rivet.stick=1";
/** 1980-01-01: no date within FAT is older. */
const oldestEpoch = 315_532_800;

interface Common {
  readonly options: Options;
  readonly artefacts: Artefacts;
  readonly from: Ingredients;
  /** Of the agent. */
  readonly version: string;
  /** Every date in what is built. Seconds since 1970. */
  readonly epochSeconds: number;
  readonly say: (text: string) => void;
}

/** @param released the version of an agent that was built elsewhere and does not tell its own */
export async function buildImages(
  options: Options,
  artefacts: Artefacts,
  from: Ingredients,
  released: string,
  say: (text: string) => void,
): Promise<void> {
  const common: Common = {
    options,
    artefacts,
    from,
    say,
    version: from.record?.version ?? released,
    epochSeconds: Math.max(oldestEpoch, Number(process.env.SOURCE_DATE_EPOCH ?? oldestEpoch)),
  };
  const ramdisks = await buildRamdisks(common);
  const bootable = await buildBootable(common, ramdisks);
  await buildBill(common, [...ramdisks.files, ...bootable]);
}

interface Ramdisks {
  readonly initramfs: Buffer;
  /** Over all that is in it. */
  readonly hash: string;
  readonly files: readonly BuiltFile[];
}

async function buildRamdisks({ options, artefacts, from, say }: Common): Promise<Ramdisks> {
  const { tree, modules, components } = from;
  const level = options.fast ? levels.fast : levels.release;
  const agentHash = hashOf([
    ["builder", await hashOfBuilder()],
    ["level", String(level)],
    ["agent", tree.agent],
    ...tree.libraries.map(({ path, body }) => [path, body] as const),
  ]);
  // Once for ramdisk and overlay alike, and only when one of them has changed.
  let packed: Promise<PackedCpio> | undefined;
  const packedAgent = (): Promise<PackedCpio> => {
    if (packed === undefined) say(`packing the agent (zstd -${level}${options.fast ? "" : ", about a minute"})`);
    packed ??= packCpio(agentParts(tree), level);
    return packed;
  };

  const vmlinuz = await artefacts.provide("vmlinuz", sha256(from.vmlinuz), () => from.vmlinuz);
  const hash = hashOf([
    ["agent", agentHash],
    ["release", modules.release],
    ["aliases", modules.aliases],
    ...modules.modules.map(({ file, body }) => [file.path, body] as const),
  ]);
  const initramfs = await artefacts.provide("initramfs.img", hash, async () =>
    joined([await packCpio(ramdiskParts(modules), level), await packedAgent()]),
  );
  const overlayHash = hashOf([["agent", `${agentHash} ${options.plainOverlay ? "plain" : "zstd"}`]]);
  const overlay = await artefacts.provide("overlay.img", overlayHash, async () => {
    if (options.plainOverlay) return behindAnother(plainCpio([...agentParts(tree), overlayPart]));
    const { image, parts } = joined([await packedAgent(), await packCpio([overlayPart], level)]);
    return { image: behindAnother(image), parts };
  });
  const { kernel, libraries } = components;
  return {
    initramfs,
    hash,
    files: [
      { name: "vmlinuz", body: vmlinuz, hasAgent: false, holds: [kernel], packed: [], includes: [] },
      {
        ...{ name: "initramfs.img", body: initramfs, hasAgent: true, holds: [kernel, ...libraries], includes: [] },
        packed: filesIn([...ramdiskParts(modules), ...agentParts(tree)]),
      },
      {
        ...{ name: "overlay.img", body: overlay, hasAgent: true, holds: libraries, includes: [] },
        packed: filesIn([...agentParts(tree), overlayPart]),
      },
    ],
  };
}

/** The UEFI program and the stick's image. */
async function buildBootable(common: Common, { initramfs, hash }: Ramdisks): Promise<BuiltFile[]> {
  const { options, artefacts, from, version, epochSeconds } = common;
  const { target, stub, vmlinuz, modules, components } = from;
  const commandLine = (more: string): string =>
    [target.consoles, forPeople, more, options.commandLine].filter((word) => word !== "").join(" ");
  const program = async (words: string): Promise<Buffer> => {
    const { release } = modules;
    const image = unifiedKernelImage({ stub, kernel: vmlinuz, initramfs, commandLine: words, release, version });
    return options.signWith ? await signed(image, options.signWith) : image;
  };
  const signing = options.signWith
    ? await Promise.all([readFile(options.signWith.keyFile), readFile(options.signWith.certFile)])
    : [];
  const programHash = hashOf([
    ["ramdisk", hash],
    ["kernel", vmlinuz],
    ["stub", stub],
    ["texts", `${version} ${commandLine("")}`],
    ...signing.map((body) => ["signing", body] as const),
  ]);
  const efi = await artefacts.provide("metal-rivet.efi", programHash, () => program(commandLine("")));

  const document = options.config === undefined ? undefined : await readFile(options.config);
  const stickHash = hashOf([
    ["program", programHash],
    ...[...stickFiles("", Buffer.alloc(0), document)].map(([name, body]) => [`file ${name}`, body ?? ""] as const),
    ["dates", String(epochSeconds)],
    ...(target.bios ? [["grub", await readFile(join(grubFolder, "boot.img"))] as const] : []),
  ]);
  const stick = async (): Promise<Buffer> => {
    const image = await program(commandLine(fromStick));
    const path = `${uefiFolder}/${target.uefiFile}`;
    const boot = target.bios ? await biosBoot(image, `/${path}`, commandLine(fromStick)) : undefined;
    return await diskImage({ boot, epochSeconds, files: stickFiles(path, image, document) });
  };
  // A document may hold a token, or a key.
  const stickMode = document === undefined ? 0o644 : 0o600;
  const disk = await artefacts.provide("metal-rivet.img", stickHash, stick, stickMode);
  const inProgram = [components.kernel, ...components.libraries, ...components.stub];
  // The stick's UEFI program has another command line, but the same ramdisk and kernel.
  const includes = ["vmlinuz", "initramfs.img"];
  const loader = target.bios ? await installedComponents([join(grubFolder, "boot.img")]) : [];
  return [
    { name: "metal-rivet.efi", body: efi, hasAgent: true, holds: inProgram, packed: [], includes },
    { name: "metal-rivet.img", body: disk, hasAgent: true, holds: [...inProgram, ...loader], packed: [], includes },
  ];
}

const filesIn = (parts: readonly CpioPart[]): PackedFile[] =>
  parts.flatMap(({ entries }) => entries.filter((entry) => entry.kind === "file"));

async function buildBill(
  { artefacts, from, version, epochSeconds }: Common,
  files: readonly BuiltFile[],
): Promise<void> {
  const agent = [...(from.record?.packages ?? []), ...nodeComponents(process.versions)];
  const bill = spdxDocument({ version, epochSeconds, agent, files });
  await artefacts.provide("metal-rivet.spdx.json", sha256(bill), () => Buffer.from(bill));
}

/** This folder's code, which decides the layout, and Node, whose zstd packs. */
async function hashOfBuilder(): Promise<string> {
  const sources = (await readdir(import.meta.dirname)).filter((name) => /(?<!\.test)\.ts$/.test(name)).sort();
  const bodies = await Promise.all(
    sources.map(async (name) => [name, await readFile(join(import.meta.dirname, name))] as const),
  );
  return hashOf([...bodies, ["node", process.version]]);
}
