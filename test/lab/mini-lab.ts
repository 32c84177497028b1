import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { factoryUser } from "./ipmi-sim.ts";
import type { MachineOptions } from "./machine.ts";
import { freeLoopbackAddress } from "./ports.ts";
import { makeUpTruth } from "./truth.ts";

/**
 * The wiring of metal-stack's mini-lab: ipmi_sim behind `ipmi-bmc-extern` and `pci-ipmi-kcs`, a q35 with UEFI, an empty disk and
 * a virtio network card, SOL, and SMBIOS UUIDs that count up from 1. Source: github.com/metal-stack/mini-lab, images/machine
 * (launch.py, openipmi/lan.conf) and mini-lab.sonic.yaml.
 *
 * Not as there: each machine is in a container of its own, where all have 127.0.0.1; here each has an address of the loopback
 * of its own. KVM is not used. The card's own iPXE boots, where theirs is sent by pixiecore. ipmi_sim starts and stops the
 * machine by `chassis_control`, because with mini-lab's `startcmd` it knows no boot device.
 */
export interface MiniLabMachine extends Omit<MachineOptions, "parentDirectory"> {
  readonly name: string;
}

/** On each machine's own address. */
export const miniLabPorts = { bmc: 9000, serial: 9001 } as const;

/** All BMCs of a mini-lab tell the same one, from remote only. */
const guid = "a123456789abcdefa123456789abcdef";

export const mostMiniLabMachines = 9;

/** UUID of the machine with that number, 1 to 9. */
export const miniLabUuid = (number: number): string => `00000000-0000-0000-0000-00000000000${number}`;

/** What DHCP names, in the directory that is served by TFTP. */
const bootFile = "boot.ipxe";

/** Nothing is on it, and it takes no space. */
const diskBytes = 64 * 2 ** 20;

/**
 * Machines 1 to `count`, at most `mostMiniLabMachines`.
 * @param directory for their disks, and for what is served by TFTP: see bootFrom
 */
export async function miniLabMachines(directory: string, count: number): Promise<MiniLabMachine[]> {
  const machines: MiniLabMachine[] = [];
  const addresses: string[] = [];
  for (let number = 1; number <= count; number += 1) {
    const host = await freeLoopbackAddress(Object.values(miniLabPorts), addresses);
    addresses.push(host);
    const name = `machine0${number}`;
    const disk = join(directory, `${name}.disk`);
    writeFileSync(disk, "");
    truncateSync(disk, diskBytes);
    machines.push({
      name,
      truth: { ...makeUpTruth(), uuid: miniLabUuid(number) },
      users: [{ slot: 1, name: "", password: "test", privilege: "user" }, factoryUser],
      board: "q35",
      bmcInterface: "pci-ipmi-kcs",
      bmcAt: { host, port: miniLabPorts.bmc },
      serialPort: { host, port: miniLabPorts.serial },
      bmcGuid: guid,
      disk,
      networkBoot: { firmware: "uefi", directory, file: bootFile },
    });
  }
  return machines;
}

/** From now on machines that boot from the network ask that boot server. */
export function bootFrom(directory: string, bootApi: { readonly urlSeenByVm: string }): void {
  writeFileSync(join(directory, bootFile), `#!ipxe\nchain ${bootApi.urlSeenByVm}/boot.ipxe\n`);
}
