/** Machines of arm64, emulated: QEMU's board "virt" with UEFI. Debian's QEMU has no IPMI device for them, so they have no BMC. */

import { join } from "node:path";
import { startChild } from "./child.ts";
import type { FollowedMachine } from "./machine.ts";
import { serialFileOf, smbiosArguments } from "./qemu.ts";
import { SerialConsole } from "./serial-console.ts";
import type { Truth } from "./truth.ts";

/** EDK2, of Debian's package qemu-efi-aarch64. */
const firmware = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd";

export interface Arm64Options {
  /** Logs go there. Must exist. */
  readonly directory: string;
  readonly truth: Pick<Truth, "uuid" | "smbios" | "nicMac">;
  /** The disk image of a USB stick, from which the machine boots. What the machine writes there is lost. */
  readonly stick: string;
  readonly memoryMib: number;
}

/** Switches it on. Its network is QEMU's user network, with DHCP; a reboot ends it. */
export async function startArm64Machine({
  directory,
  truth,
  stick,
  memoryMib,
}: Arm64Options): Promise<FollowedMachine & AsyncDisposable> {
  const serial = serialFileOf(directory);
  const child = await startChild({
    command: "qemu-system-aarch64",
    args: [
      ...["-machine", "virt", "-accel", "tcg,thread=multi", "-cpu", "cortex-a57", "-m", String(memoryMib)],
      ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-bios", firmware],
      ...["-uuid", truth.uuid, ...smbiosArguments(truth.smbios)],
      ...["-chardev", `file,id=serial0,path=${serial}`, "-serial", "chardev:serial0"],
      ...["-netdev", "user,id=n0,ipv6=off", "-device", `virtio-net-pci,netdev=n0,romfile=,mac=${truth.nicMac}`],
      ...["-drive", `if=none,id=stick,format=raw,snapshot=on,file=${stick}`],
      ...["-device", "qemu-xhci", "-device", "usb-storage,drive=stick,bootindex=0"],
    ],
    cwd: directory,
    logFile: join(directory, "qemu.log"),
  });
  return {
    name: "arm64",
    console: new SerialConsole(serial),
    get isOn() {
      return child.running;
    },
    trouble: undefined,
    [Symbol.asyncDispose]: async () => void (await child.kill()),
  };
}
