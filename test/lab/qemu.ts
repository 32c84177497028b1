import { copyFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { type Child, type Exit, startChild, tailOf } from "./child.ts";
import { pause, within } from "./deadline.ts";
import { processor } from "./processor.ts";
import { stickArguments } from "./stick.ts";

/** Strings of one SMBIOS structure, by QEMU's names: type 0 vendor, version, date; type 1 manufacturer, product, version, serial, sku, family; type 2 manufacturer, product, version, serial, asset; type 3 manufacturer, version, serial, asset. */
export type SmbiosStrings = Readonly<Partial<Record<0 | 1 | 2 | 3, Readonly<Record<string, string>>>>>;

/** QEMU's devices in front of an outside BMC: KCS and BT on I/O ports, both as PCI devices, and SSIF on the SMBus. */
export type BmcInterface = "isa-ipmi-kcs" | "isa-ipmi-bt" | "pci-ipmi-kcs" | "pci-ipmi-bt" | "smbus-ipmi";

/** A BMC's usual one, 20h in eight bits. Without any, QEMU's firmware tells address zero, which means no BMC. */
const ssifAddress = ",address=0x10";

/** What the firmware of a machine boots, if it is no kernel that QEMU hands over. */
export interface NetworkBoot {
  /** "secure": Secure Boot is enforced, and only programs signed by Debian's test key start. The board is a q35 then. */
  readonly firmware: "bios" | "uefi" | "secure";
  /** Served by TFTP. */
  readonly directory: string;
  /** What DHCP names: a file in `directory`, or a URL. */
  readonly file: string;
  /** Somebody else on the same wire who names something to boot; the card's ROM is left out, and the firmware boots by itself. */
  readonly beside?: { readonly port: number; readonly machinePort: number };
}

export interface VmOptions {
  /** Logs and sockets of this VM go there. Must exist; its path must be shorter than 80 characters (a socket lies in it). */
  readonly directory: string;
  readonly kernel: string;
  readonly initramfs: string;
  /** Kernel command line, at most 2,047 bytes. */
  readonly commandLine: string;
  /** SMBIOS system UUID in RFC 4122 text form. */
  readonly uuid: string;
  readonly smbios?: SmbiosStrings;
  /** What the hardware's clock says when the machine starts, UTC; the right time by default. "2001-01-01" */
  readonly hardwareClock?: string | undefined;
  /** MiB; 512 by default. */
  readonly memoryMib?: number;
  /** The file that is the machine's memory, byte for byte, while it runs and afterwards. */
  readonly memoryFile?: string | undefined;
  /** Virtual CPUs; 1 by default. */
  readonly cpus?: number;
  /** TCP port of a VM codec. Without it the machine has no BMC at all. */
  readonly bmcPort?: number | undefined;
  /** Address of the loopback for that port; 127.0.0.1 by default. */
  readonly bmcHost?: string | undefined;
  /** Where the serial port can be spoken to by telnet, on the loopback; what the machine writes goes to its file all the same. */
  readonly serialPort?: { readonly host: string; readonly port: number } | undefined;
  /** QEMU's board; "pc" by default. */
  readonly board?: "pc" | "q35" | undefined;
  /** A disk, as a file that is the disk byte for byte. Its firmware boots from the network before it, unless `bootFrom` says otherwise. */
  readonly disk?: string | undefined;
  /** What the firmware is to boot from, and from nothing else, where both are there. */
  readonly bootFrom?: "network" | "disk" | undefined;
  /** How the machine reaches its BMC; "isa-ipmi-kcs" by default. SMBIOS names it, but for the PCI devices. */
  readonly bmcInterface?: BmcInterface | undefined;
  /** "virtio-net-pci" by default. */
  readonly nic?: "virtio-net-pci" | "e1000" | "none";
  /** MAC of the NIC. */
  readonly nicMac?: string;
  /** True: the machine reaches nothing outside, not even the services on our loopback. */
  readonly isolated?: boolean;
  /** What a guest's reboot does: start again (default), or end the VM. */
  readonly onReboot?: "restart" | "exit";
  /** "tcg" by default: where a hypervisor owns /dev/kvm, guests can hang at their firmware for ever. */
  readonly accelerator?: "tcg" | "kvm";
  /** Instead of `kernel`, `initramfs` and `commandLine`: what DHCP names, by the iPXE in the card's ROM. */
  readonly networkBoot?: NetworkBoot | undefined;
  /** Instead of `kernel`, `initramfs` and `commandLine`: a USB stick, byte for byte, that the firmware boots. */
  readonly stick?: { readonly firmware: NetworkBoot["firmware"]; readonly image: string } | undefined;
  /** More arguments for QEMU. */
  readonly extraArgs?: readonly string[];
}

/** A virtual machine that runs. */
export interface Vm extends AsyncDisposable {
  readonly child: Child;
  /** What the machine writes on its first serial port. Appended to, also by later VMs of the same directory. */
  readonly serialFile: string;
  readonly exited: Promise<Exit>;
  /** Like the reset button. */
  reset(): Promise<void>;
  /** Like pulling the plug. Resolves when the VM is gone. */
  pullPlug(): Promise<void>;
}

/** Where the machine finds our loopback: QEMU's user network maps it there. */
export const hostAsSeenByVm = "10.0.2.2";
/** And in a user network of IPv6 alone, with `ipv6-prefix=fd00::`. There our loopback is [::1]. */
export const hostAsSeenByVm6 = "fd00::2";

/** Where a VM of that directory writes its serial port. */
export function serialFileOf(directory: string): string {
  return join(directory, "serial.log");
}

/** @throws Error with QEMU's own words if it does not start */
export async function startVm(options: VmOptions): Promise<Vm> {
  const commandLineBytes = Buffer.byteLength(options.commandLine);
  if (commandLineBytes > 2_047) {
    throw new Error(`qemu: the kernel command line has ${commandLineBytes} bytes, the kernel takes 2,047`);
  }
  const monitor = join(options.directory, "qmp");
  const logFile = join(options.directory, "qemu.log");
  const child = await startChild({
    command: "qemu-system-x86_64",
    args: qemuArguments(options, monitor),
    logFile,
    cwd: options.directory,
  });
  // QEMU refuses its arguments within milliseconds; what lives longer than this has started.
  const early = await Promise.race([child.exited, pause(250)]);
  if (early !== undefined) throw new Error(`qemu ended at once:\n${tailOf(logFile)}`);
  return {
    child,
    serialFile: serialFileOf(options.directory),
    exited: child.exited,
    reset: () => qmp(monitor, "system_reset"),
    async pullPlug() {
      await child.kill();
    },
    async [Symbol.asyncDispose]() {
      await child.kill();
    },
  };
}

/** Debian's package ovmf. */
const ovmf = {
  uefi: { code: "/usr/share/OVMF/OVMF_CODE_4M.fd", variables: "/usr/share/OVMF/OVMF_VARS_4M.fd" },
  secure: { code: "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", variables: "/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd" },
} as const;
/** Nobody but the firmware may write its variables. */
const lockedVariables = ["-global", "driver=cfi.pflash01,property=secure,value=on"];

function bootServer({ networkBoot }: VmOptions): string {
  return networkBoot === undefined || networkBoot.beside
    ? ""
    : `,tftp=${networkBoot.directory},bootfile=${networkBoot.file}`;
}

function networkCard(options: VmOptions, nic: string): string[] {
  const { networkBoot, nicMac, bootFrom } = options;
  const beside = networkBoot?.beside;
  const isolated = options.isolated === true ? "on" : "off";
  // Without a boot ROM where the machine does not boot by it: the ROM costs a second.
  const rom = networkBoot === undefined || beside !== undefined ? "romfile=" : "";
  const order = networkBoot === undefined || bootFrom === "disk" ? "" : "bootindex=1";
  const wire = beside === undefined ? "n0" : "wire";
  const card = [nic, `netdev=${wire}`, rom, order, nicMac === undefined ? "" : `mac=${nicMac}`];
  return [
    ...["-netdev", `user,id=n0,ipv6=off,restrict=${isolated}${bootServer(options)}`],
    ...(beside === undefined ? [] : hub(beside)),
    ...["-device", card.filter((part) => part !== "").join(",")],
  ];
}

/** The user network, somebody else, and the card on one wire. */
function hub({ port, machinePort }: { readonly port: number; readonly machinePort: number }): string[] {
  return [
    ...["-netdev", "hubport,id=hub-user,hubid=0,netdev=n0"],
    ...["-netdev", `socket,id=beside,udp=127.0.0.1:${port},localaddr=127.0.0.1:${machinePort}`],
    ...["-netdev", "hubport,id=hub-beside,hubid=0,netdev=beside", "-netdev", "hubport,id=wire,hubid=0"],
  ];
}

function whatBoots({ kernel, initramfs, commandLine, networkBoot, stick, directory }: VmOptions): string[] {
  const firmware = networkBoot?.firmware ?? stick?.firmware;
  if (firmware === undefined) return ["-kernel", kernel, "-initrd", initramfs, "-append", commandLine];
  const usb = stick === undefined ? [] : stickArguments(stick.image, false, 0);
  if (firmware === "bios") return usb;
  // Anew for each start: what a boot leaves in there would change the next one.
  const variables = join(directory, "ovmf-variables.fd");
  copyFileSync(ovmf[firmware].variables, variables);
  // Firmware tries PXE first, and waits a minute for an offer.
  const withoutPxe = [4, 6].flatMap((version) => [
    "-fw_cfg",
    `name=opt/org.tianocore/IPv${version}PXESupport,string=n`,
  ]);
  return [
    ...usb,
    ...(networkBoot?.beside === undefined ? [] : withoutPxe),
    ...(firmware === "secure" ? lockedVariables : []),
    ...["-drive", `if=pflash,format=raw,readonly=on,file=${ovmf[firmware].code}`],
    ...["-drive", `if=pflash,format=raw,file=${variables}`],
  ];
}

function disk({ disk: file, bootFrom }: VmOptions): string[] {
  if (file === undefined) return [];
  const order = bootFrom === "network" ? "" : ",bootindex=2";
  return ["-drive", `if=none,id=disk,format=raw,file=${file}`, "-device", `virtio-blk-pci,drive=disk${order}`];
}

function serialPort({ directory, serialPort: telnet }: VmOptions): string {
  const file = serialFileOf(directory);
  if (telnet === undefined) return `file,id=serial0,path=${file},append=on`;
  const { host, port } = telnet;
  return `socket,id=serial0,host=${host},port=${port},server=on,wait=off,telnet=on,logfile=${file},logappend=on`;
}

function qemuArguments(options: VmOptions, monitor: string): string[] {
  const {
    bmcPort,
    bmcHost = "127.0.0.1",
    board = options.networkBoot?.firmware === "secure" ? "q35,smm=on" : "pc",
    bmcInterface = "isa-ipmi-kcs",
    nic = "virtio-net-pci",
    accelerator = "tcg",
    memoryMib = 512,
  } = options;
  const network = nic === "none" ? ["-nic", "none"] : networkCard(options, nic);
  const bmc =
    bmcPort === undefined
      ? []
      : [
          ...["-chardev", `socket,id=ipmi0,host=${bmcHost},port=${bmcPort},reconnect=1`],
          ...[
            "-device",
            "ipmi-bmc-extern,id=bmc0,chardev=ipmi0",
            "-device",
            `${bmcInterface},bmc=bmc0${bmcInterface === "smbus-ipmi" ? ssifAddress : ""}`,
          ],
        ];
  return [
    ...[
      "-machine",
      // Without graphics SeaBIOS, and iPXE with it, writes to the serial port.
      `${board}${options.memoryFile === undefined ? "" : ",memory-backend=ram"}${options.networkBoot ? ",graphics=off" : ""}`,
      "-nodefaults",
      "-no-user-config",
      "-display",
      "none",
    ],
    ...(accelerator === "kvm" ? ["-accel", "kvm", "-cpu", "host"] : ["-accel", "tcg,thread=multi", "-cpu", processor]),
    ...["-smp", String(options.cpus ?? 1), "-m", String(memoryMib)],
    ...(options.memoryFile === undefined
      ? []
      : ["-object", `memory-backend-file,id=ram,size=${memoryMib}M,share=on,mem-path=${options.memoryFile}`]),
    ...["-uuid", options.uuid, ...smbiosArguments(options.smbios ?? {})],
    ...(options.hardwareClock === undefined ? [] : ["-rtc", `base=${options.hardwareClock}`]),
    ...whatBoots(options),
    ...["-chardev", serialPort(options), "-serial", "chardev:serial0"],
    ...["-chardev", `socket,id=monitor,path=${monitor},server=on,wait=off`, "-mon", "chardev=monitor,mode=control"],
    ...(options.onReboot === "exit" ? ["-no-reboot"] : []),
    ...network,
    ...disk(options),
    ...bmc,
    ...(options.extraArgs ?? []),
  ];
}

/** QEMU's arguments for these strings; a comma within one is doubled. */
export function smbiosArguments(smbios: SmbiosStrings): string[] {
  return Object.entries(smbios).flatMap(([type, strings]) => [
    "-smbios",
    [`type=${type}`, ...Object.entries(strings).map(([name, value]) => `${name}=${value.replaceAll(",", ",,")}`)].join(
      ",",
    ),
  ]);
}

/**
 * One command to QEMU's monitor.
 * @param path of its socket: "qmp" in the VM's directory
 * @throws Error with QEMU's words, or if it does not answer within 5 s
 */
export function qmp(path: string, command: string, args: Readonly<Record<string, string>> = {}): Promise<void> {
  const socket = connect(path);
  const answered = new Promise<void>((resolve, reject) => {
    let rest = "";
    let results = 0;
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => {
      const lines = (rest + chunk.toString("utf8")).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines.filter((text) => text.trim() !== "")) {
        const message: unknown = JSON.parse(line);
        if (typeof message !== "object" || message === null) continue;
        if ("QMP" in message) socket.write('{"execute":"qmp_capabilities"}\n');
        if ("error" in message) reject(new Error(`qemu monitor: ${command}: ${JSON.stringify(message.error)}`));
        if ("return" in message) {
          results += 1;
          if (results === 1) socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
          else resolve();
        }
      }
    });
  });
  return within(`QEMU's monitor to answer ${command}`, 5_000, answered).finally(() => socket.destroy());
}
