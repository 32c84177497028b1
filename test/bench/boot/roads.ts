import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { stringify } from "yaml";
import { startBootApi } from "../../lab/boot-api.ts";
import type { MachineOptions } from "../../lab/machine.ts";
import { bootFrom } from "../../lab/mini-lab.ts";
import { readCertificates } from "../../lab/service.ts";
import type { Site } from "../in-vm.ts";
import { byScript, timedInit } from "./ramdisks.ts";
import type { Mark } from "./timeline.ts";

/** What the machines boot, built once. */
export interface BootImages {
  /** A directory with vmlinuz, and initramfs.img that tells when its first process starts. */
  readonly directory: string;
  readonly kernel: string;
  readonly initramfs: string;
  /** The stick, as `npm run image` makes it; its command line leads to the serial port. */
  readonly stick: string;
  readonly emptyRamdisk: string;
  readonly debianRamdisk: string;
  readonly debianWithOverlay: string;
}

/** One way to boot a machine, until it is linked or does what others do instead. */
export interface Road {
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** The last thing that it gets to. */
  readonly until: Mark;
  /** Whether the agent is in it. */
  readonly agent: boolean;
  readonly memoryMib: number;
  /** More about the machine. @param directory of its site */
  machine(images: BootImages, directory: string): Partial<MachineOptions>;
  /** Once the service runs, and before the power is switched on. @returns the kernel command line, for roads that have one */
  prepare(site: Site, images: BootImages, stack: AsyncDisposableStack): Promise<string>;
}

/** The least that all of ours has to do with. */
export const smallMemoryMib = 384;
/** Debian's ramdisk, with all drivers in it. */
const debianMemoryMib = 1_024;

const agentWords = "rivet.log=json rivet.led=0";
const withDocument = (site: Site) => `${agentWords} rivet.config=${site.documents.urlOf("machine.yaml")}`;

const ours = { until: "linked", agent: true, memoryMib: smallMemoryMib } as const;

const kernelAndRamdisk: Road = {
  ...{ ...ours, name: "kernel", title: "kernel and ramdisk, by QEMU" },
  machine: ({ kernel, initramfs }) => ({ kernel, initramfs }),
  prepare: async (site) => `rdinit=${timedInit} ${withDocument(site)}`,
};

function fromNetwork(firmware: "bios" | "uefi"): Road {
  return {
    ...{ ...ours, name: `${firmware}-ipxe`, title: `network: iPXE, ${firmware.toUpperCase()}` },
    machine: (_images, directory) => ({ networkBoot: { firmware, directory, file: "boot.ipxe" } }),
    async prepare(site, images, stack) {
      const { directory, service } = site;
      const timed = { images: images.directory, words: `rdinit=${timedInit}` };
      bootFrom(directory, stack.use(await startBootApi({ directory, service, allow: "all", ...timed })));
      return "";
    },
  };
}

/** Where the stick's FAT partition begins. */
const partitionAt = 1_048_576;

function fromStick(firmware: "bios" | "uefi"): Road {
  const imageIn = (directory: string) => join(directory, "stick.img");
  return {
    ...{ ...ours, name: `${firmware}-stick`, title: `USB stick, ${firmware.toUpperCase()}` },
    machine: (_images, directory) => ({ stick: { firmware, image: imageIn(directory) } }),
    async prepare({ directory, service }, { stick }) {
      const image = imageIn(directory);
      copyFileSync(stick, image);
      const document = { service: service.addressSeenByVm, ...readCertificates(service.pkiDirectory, "agent") };
      const target = ["-o", "-i", `${image}@@${partitionAt}`, "-", "::/metal-rivet.yaml"];
      await execa("mcopy", target, { input: stringify(document), timeout: 30_000 });
      return "";
    },
  };
}

const overlay: Road = {
  ...{ ...ours, name: "overlay", title: "overlay on Debian's initramfs", memoryMib: debianMemoryMib },
  machine: ({ kernel, debianWithOverlay }) => ({ kernel, initramfs: debianWithOverlay }),
  prepare: async (site) => withDocument(site),
};

const empty: Road = {
  ...{ name: "empty", title: "the same kernel, an empty ramdisk", until: "first line" },
  ...{ agent: false, memoryMib: smallMemoryMib },
  machine: ({ kernel, emptyRamdisk }) => ({ kernel, initramfs: emptyRamdisk }),
  prepare: async () => "",
};

const debianScript: Road = {
  ...{ name: "script", title: "Debian's initramfs, ipmitool by script", until: "linked" },
  ...{ agent: false, memoryMib: debianMemoryMib },
  machine: ({ kernel, debianRamdisk }) => ({ kernel, initramfs: debianRamdisk }),
  prepare: async () => `${byScript} ip=dhcp`,
};

export const roads: readonly Road[] = [
  kernelAndRamdisk,
  fromNetwork("bios"),
  fromNetwork("uefi"),
  fromStick("bios"),
  fromStick("uefi"),
  overlay,
  empty,
  debianScript,
];

/** Words on the stick's own command line: to the serial port, in a form that is read here, without a screen of its own. */
export const stickWords = `console=ttyS0,115200 rivet.screen=0 ${agentWords}`;

/** Makes a directory that boot-api takes its files from. */
export function imagesDirectory(parent: string): string {
  const directory = join(parent, "images");
  mkdirSync(directory);
  return directory;
}
