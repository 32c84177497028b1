/**
 * The unified kernel image: one UEFI program that is kernel, ramdisk and kernel command line, so that one signature covers
 * all of them. The program in front is systemd's stub. Source: UAPI.5 Unified Kernel Image; systemd-stub(7).
 */

import { addPeSections } from "./pe.ts";

export interface UnifiedKernel {
  /** systemd's linux*.efi.stub. */
  readonly stub: Buffer;
  readonly kernel: Buffer;
  readonly initramfs: Buffer;
  readonly commandLine: string;
  /** What `uname -r` says of the kernel. */
  readonly release: string;
  readonly version: string;
}

/** The image, not signed. @throws Error when the command line is not ASCII text of one line */
export function unifiedKernelImage({ stub, kernel, initramfs, commandLine, release, version }: UnifiedKernel): Buffer {
  if (!/^[\x20-\x7e]*$/.test(commandLine)) throw new Error("kernel command line: must be one line of ASCII text");
  const osRelease = [
    "ID=metal-rivet",
    'NAME="metal-rivet"',
    `VERSION_ID="${version}"`,
    `PRETTY_NAME="metal-rivet ${version}"`,
    "",
  ].join("\n");
  return addPeSections(stub, [
    { name: ".osrel", body: Buffer.from(osRelease) },
    { name: ".uname", body: Buffer.from(release) },
    { name: ".cmdline", body: Buffer.from(commandLine) },
    { name: ".initrd", body: initramfs },
    { name: ".linux", body: kernel },
  ]);
}
