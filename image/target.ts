/** The kinds of machines that are built for, and what differs between them. */

import type { DebianArchitecture } from "./debian-package.ts";

export interface Target {
  /** As Node calls it. */
  readonly name: "x64" | "arm64";
  readonly debian: DebianArchitecture;
  /** e_machine of its programs. */
  readonly elfMachine: number;
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
    elfMachine: 62, // EM_X86_64
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
    elfMachine: 183, // EM_AARCH64
    strip: "aarch64-linux-gnu-strip",
    multiarch: "aarch64-linux-gnu",
    stub: "linuxaa64.efi.stub",
    uefiFile: "BOOTAA64.EFI",
    bios: false,
    consoles: "console=ttyAMA0,115200 console=tty0",
  },
};
