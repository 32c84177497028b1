import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Serial bus controller (0Ch), IPMI (07h), by programming interface. PCI Code and ID Assignment §1.13. */
const interfaces: Readonly<Record<string, string>> = { "0x0c0700": "SMIC", "0x0c0701": "KCS", "0x0c0702": "BT" };

export interface IpmiPciDevice {
  /** For example "0000:00:04.0". */
  readonly address: string;
  readonly interfaceType: string;
}

/** The IPMI interfaces that are PCI devices. SMBIOS needs not name them. */
export async function ipmiOnPci(folder = "/sys/bus/pci/devices"): Promise<readonly IpmiPciDevice[]> {
  const addresses = await readdir(folder).catch(() => []);
  const found = await Promise.all(
    addresses.toSorted().map(async (address) => {
      const text = await readFile(join(folder, address, "class"), "latin1").catch(() => "");
      const interfaceType = interfaces[text.trim()];
      return interfaceType === undefined ? [] : [{ address, interfaceType }];
    }),
  );
  return found.flat();
}
