/** Machines that boot by their firmware from a disk image, as from a USB stick. */

import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { type Child, startChild } from "./child.ts";
import { processor } from "./processor.ts";
import { SerialConsole } from "./serial-console.ts";

/** Debian's package ovmf. "secure": Secure Boot is enforced, and only programs signed by Debian's test key start. */
export type Firmware = "bios" | "uefi" | "secure";

/** Certificate and key (passphrase "snakeoil") that ovmf's variables for tests trust. */
export const testCertificate = "/usr/share/ovmf/PkKek-1-snakeoil.pem";
export const testKey = "/usr/share/ovmf/PkKek-1-snakeoil.key";

export interface DiskMachine extends AsyncDisposable {
  readonly child: Child;
  /** Firmware and, if its command line says so, the kernel write there. */
  readonly console: SerialConsole;
}

const firmwareFolder = "/usr/share/OVMF";
const memoryMib = 384;

/** Starts a machine without network and BMC whose only disk is `image`, on USB; it is not written to. */
export async function startFromDisk(directory: string, firmware: Firmware, image: string): Promise<DiskMachine> {
  const serial = join(directory, "serial.log");
  const child = await startChild({
    command: "qemu-system-x86_64",
    args: [
      ...firmwareArguments(directory, firmware),
      ...["-accel", "tcg,thread=multi", "-cpu", processor, "-m", String(memoryMib), "-nodefaults", "-no-user-config"],
      ...["-display", "none", "-nic", "none", "-no-reboot"],
      ...["-chardev", `file,id=serial0,path=${serial}`, "-serial", "chardev:serial0"],
      ...["-drive", `if=none,id=stick,format=raw,snapshot=on,file=${image}`],
      ...["-device", "qemu-xhci", "-device", "usb-storage,drive=stick"],
    ],
    cwd: directory,
    logFile: join(directory, "qemu.log"),
  });
  return { child, console: new SerialConsole(serial), [Symbol.asyncDispose]: async () => void (await child.kill()) };
}

function firmwareArguments(directory: string, firmware: Firmware): string[] {
  if (firmware === "bios") return ["-machine", "pc"];
  const variables = join(directory, "variables.fd");
  const secure = firmware === "secure";
  copyFileSync(join(firmwareFolder, secure ? "OVMF_VARS_4M.snakeoil.fd" : "OVMF_VARS_4M.fd"), variables);
  const code = join(firmwareFolder, secure ? "OVMF_CODE_4M.secboot.fd" : "OVMF_CODE_4M.fd");
  return [
    ...["-machine", secure ? "q35,smm=on" : "q35"],
    ...(secure ? ["-global", "driver=cfi.pflash01,property=secure,value=on"] : []),
    ...["-drive", `if=pflash,format=raw,readonly=on,file=${code}`],
    ...["-drive", `if=pflash,format=raw,file=${variables}`],
  ];
}
