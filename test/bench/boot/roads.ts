import { copyFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { stringify } from "yaml";
import { startBootApi } from "../../lab/boot-api.ts";
import type { MachineOptions } from "../../lab/machine.ts";
import { bootFrom } from "../../lab/mini-lab.ts";
import { freeUdpPort } from "../../lab/ports.ts";
import { startProxyDhcp } from "../../lab/proxy-dhcp.ts";
import { readCertificates } from "../../lab/service.ts";
import type { Site } from "../in-vm.ts";
import { byScript, timedInit } from "./ramdisks.ts";
import type { Mark } from "./timeline.ts";

/** What the machines boot, built once. */
export interface BootImages {
  /** A directory with vmlinuz, initramfs.img that tells when its first process starts, and metal-rivet.efi. */
  readonly directory: string;
  readonly kernel: string;
  readonly initramfs: string;
  /** The stick, as `npm run image` makes it; its command line leads to the serial port. */
  readonly stick: string;
  readonly emptyRamdisk: string;
  /** Made when it is asked for first. */
  debianRamdisk(): Promise<string>;
  debianWithOverlay(): Promise<string>;
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
  /** Whatever has to be there before the machine. */
  begin(images: BootImages, stack: AsyncDisposableStack): Promise<RoadBoot>;
}

/** One boot by a road. */
export interface RoadBoot {
  /** More about the machine. @param directory of its site */
  machine(directory: string): Partial<MachineOptions>;
  /** Once the service runs, and before the power is switched on. @returns the kernel command line, for roads that have one */
  prepare(site: Site): Promise<string>;
}

/** The least that all of ours has to do with. */
export const smallMemoryMib = 384;
/** Debian's ramdisk, with all drivers in it. */
const debianMemoryMib = 1_024;

const agentWords = "rivet.log=json rivet.led=0";
const withDocument = (site: Site) => `${agentWords} rivet.config=${site.documents.urlOf("machine.yaml")}`;

const ours = { until: "linked", agent: true, memoryMib: smallMemoryMib } as const;

/** A kernel and a ramdisk that QEMU hands over. */
const byQemu = (
  ramdiskOf: (images: BootImages) => string | Promise<string>,
  commandLine: (site: Site) => string,
): Pick<Road, "begin"> => ({
  async begin(images) {
    const { kernel } = images;
    const initramfs = await ramdiskOf(images);
    return { machine: () => ({ kernel, initramfs }), prepare: async (site) => commandLine(site) };
  },
});

const kernelAndRamdisk: Road = {
  ...{ ...ours, name: "kernel", title: "kernel and ramdisk, by QEMU" },
  ...byQemu(
    ({ initramfs }) => initramfs,
    (site) => `rdinit=${timedInit} ${withDocument(site)}`,
  ),
};

function fromNetwork(firmware: "bios" | "uefi"): Road {
  return {
    ...{ ...ours, name: `${firmware}-ipxe`, title: `network: iPXE, ${firmware.toUpperCase()}` },
    begin: async (images, stack) => ({
      machine: (directory) => ({ networkBoot: { firmware, directory, file: "boot.ipxe" } }),
      async prepare({ directory, service }) {
        const timed = { images: images.directory, words: `rivet.led=0 rdinit=${timedInit}` };
        bootFrom(directory, stack.use(await startBootApi({ directory, service, allow: "all", ...timed })));
        return "";
      },
    }),
  };
}

const uefiHttp: Road = {
  ...{ ...ours, name: "uefi-http", title: "network: UEFI HTTP boot" },
  async begin({ directory: images }, stack) {
    const dhcp = stack.use(await startProxyDhcp(await freeUdpPort()));
    return {
      machine: (directory) => ({ networkBoot: { firmware: "uefi", directory, file: "", beside: dhcp } }),
      async prepare({ directory, service }) {
        const options = { directory, service, images, allow: "all", words: "rivet.led=0" };
        const { urlSeenByVm } = stack.use(await startBootApi(options));
        dhcp.tell(`${urlSeenByVm}/metal-rivet.efi`);
        return "";
      },
    };
  },
};

/** Where the stick's FAT partition begins. */
const partitionAt = 1_048_576;

function fromStick(firmware: "bios" | "uefi"): Road {
  const imageIn = (directory: string) => join(directory, "stick.img");
  return {
    ...{ ...ours, name: `${firmware}-stick`, title: `USB stick, ${firmware.toUpperCase()}` },
    begin: async ({ stick }) => ({
      machine: (directory) => ({ stick: { firmware, image: imageIn(directory) } }),
      async prepare({ directory, service }) {
        const image = imageIn(directory);
        copyFileSync(stick, image);
        const document = { service: service.addressSeenByVm, ...readCertificates(service.pkiDirectory, "agent") };
        const target = ["-o", "-i", `${image}@@${partitionAt}`, "-", "::/metal-rivet.yaml"];
        await execa("mcopy", target, { input: stringify(document), timeout: 30_000 });
        return "";
      },
    }),
  };
}

const overlay: Road = {
  ...{ ...ours, name: "overlay", title: "overlay on Debian's initramfs", memoryMib: debianMemoryMib },
  ...byQemu((images) => images.debianWithOverlay(), withDocument),
};

const empty: Road = {
  ...{ name: "empty", title: "the same kernel, an empty ramdisk", until: "first line" },
  ...{ agent: false, memoryMib: smallMemoryMib },
  ...byQemu(
    ({ emptyRamdisk }) => emptyRamdisk,
    () => "",
  ),
};

const debianScript: Road = {
  ...{ name: "script", title: "Debian's initramfs, ipmitool by script", until: "linked" },
  ...{ agent: false, memoryMib: debianMemoryMib },
  ...byQemu(
    (images) => images.debianRamdisk(),
    () => `${byScript} ip=dhcp`,
  ),
};

export const roads: readonly Road[] = [
  kernelAndRamdisk,
  fromNetwork("bios"),
  fromNetwork("uefi"),
  uefiHttp,
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
