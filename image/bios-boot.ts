/**
 * The boot code for machines without UEFI: GRUB, in the sectors before the first partition. It reads kernel and ramdisk out
 * of the same unified kernel image from which UEFI starts, so that the stick holds them once.
 */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { type PeSectionPlace, peSections } from "./pe.ts";

/** Debian's grub-pc-bin. */
export const grubFolder = "/usr/lib/grub/i386-pc";
const sectorBytes = 512;
/** The master boot record's code, before the disk's signature; the partition table follows. */
const bootCodeBytes = 440;
const modules = ["biosdisk", "part_msdos", "fat", "loopback", "linux"];
const toolLimitMs = 60_000;

export interface BiosBoot {
  /** For the first sector. */
  readonly bootCode: Buffer;
  /** For the sectors from the second one on. */
  readonly core: Buffer;
}

/**
 * The boot code that starts what is in `image`, which lies at `path` ("/EFI/BOOT/BOOTX64.EFI") on the first partition.
 * @throws Error when the image lacks kernel or ramdisk, or when grub-mkimage fails
 */
export async function biosBoot(image: Buffer, path: string, commandLine: string): Promise<BiosBoot> {
  const folder = await mkdtemp(join(tmpdir(), "rivet-grub-"));
  try {
    const [script, core] = [join(folder, "grub.cfg"), join(folder, "core.img")];
    await writeFile(script, grubScript(peSections(image), path, commandLine));
    const where = ["--directory", grubFolder, "--format", "i386-pc", "--prefix", "(,msdos1)/"];
    await execa("grub-mkimage", [...where, "--config", script, "--output", core, ...modules], { timeout: toolLimitMs });
    return {
      // As it comes, boot.img loads the sector behind itself, and that, the core's first, the ones behind it.
      bootCode: (await readFile(join(grubFolder, "boot.img"))).subarray(0, bootCodeBytes),
      core: await readFile(core),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** GRUB reads a range of sectors of any device as a file, and a file as a device: "(uki)8+16" are 16 sectors of the image. */
export function grubScript(sections: readonly PeSectionPlace[], path: string, commandLine: string): string {
  const range = (name: string): string => {
    const section = sections.find((each) => each.name === name);
    if (section === undefined) throw new Error(`boot code: the image has no section ${name}`);
    if (section.offset % sectorBytes !== 0 || section.fileBytes % sectorBytes !== 0) {
      throw new Error(`boot code: the section ${name} does not begin and end with a sector`);
    }
    return `(uki)${section.offset / sectorBytes}+${section.fileBytes / sectorBytes}`;
  };
  if (/["'$\\]/.test(commandLine)) throw new Error(`boot code: GRUB would change this command line: ${commandLine}`);
  return [
    `loopback uki ${path}`,
    `linux ${range(".linux")} ${commandLine}`,
    `initrd ${range(".initrd")}`,
    "boot",
    "",
  ].join("\n");
}
