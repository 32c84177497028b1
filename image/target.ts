/** The kinds of machines that are built for, and what differs between them. */

import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { type DebianArchitecture, exists } from "./debian-package.ts";

export interface Target {
  /** As Node calls it. */
  readonly name: "x64" | "arm64";
  readonly debian: DebianArchitecture;
  /** binutils' program for its files. */
  readonly strip: string;
  /** The folder of its libraries below /lib and /usr/lib. */
  readonly multiarch: string;
  /** systemd's stub, and where UEFI looks on removable media (UEFI specification 2.10 §3.5.1.1). */
  readonly stub: string;
  readonly uefiFile: string;
  /** Whether there are machines without UEFI. */
  readonly bios: boolean;
  /** Screen and first serial port show the same; what a program writes to /dev/console goes to the screen. */
  readonly consoles: string;
}

export const targets: Readonly<Record<string, Target>> = {
  x64: {
    name: "x64",
    debian: "amd64",
    strip: "strip",
    multiarch: "x86_64-linux-gnu",
    stub: "linuxx64.efi.stub",
    uefiFile: "BOOTX64.EFI",
    bios: true,
    consoles: "console=ttyS0,115200 console=tty0",
  },
  arm64: {
    name: "arm64",
    debian: "arm64",
    strip: "aarch64-linux-gnu-strip",
    multiarch: "aarch64-linux-gnu",
    stub: "linuxaa64.efi.stub",
    uefiFile: "BOOTAA64.EFI",
    bios: false,
    consoles: "console=ttyAMA0,115200 console=tty0",
  },
};

const fetchLimitMs = 600_000;

/** Node for that kind of machine, of the version that runs this: from the cache, else from npm, which checks its hash. */
export async function foreignNode(target: Target, cacheDir: string): Promise<string> {
  const name = `node-linux-${target.name}`;
  const folder = join(cacheDir, `${name}-${process.versions.node}`);
  const node = join(folder, "package/bin/node");
  if (await exists(node)) return node;
  const unfinished = `${folder}.${process.pid}`;
  try {
    await mkdir(unfinished, { recursive: true });
    const pack = ["pack", "--silent", "--pack-destination", unfinished, `${name}@${process.versions.node}`];
    const { stdout } = await execa("npm", pack, { cwd: unfinished, timeout: fetchLimitMs });
    const archive = stdout.trim().split("\n").at(-1) ?? "";
    await execa("tar", ["-xzf", join(unfinished, archive), "-C", unfinished], { timeout: fetchLimitMs });
    await rm(join(unfinished, archive));
    await rm(folder, { recursive: true, force: true });
    await rename(unfinished, folder);
    return node;
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}
