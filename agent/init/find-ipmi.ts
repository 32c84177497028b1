import type { IpmiDeviceInformation } from "../../inband/smbios/type-38-ipmi-device.ts";
import type { LocalSettings } from "../config/settings.ts";
import type { IpmiHints } from "./modules.ts";

export interface FoundIpmi extends IpmiHints {
  /** Who names a BMC, if anybody does. */
  readonly namedBy: string | undefined;
}

/** The way to the BMC, and who names one if anybody does. */
export async function findIpmi({ kcs }: Pick<LocalSettings, "kcs">): Promise<FoundIpmi> {
  const devices = await ipmiInFirmware();
  const { ipmiOnPci } = await import("../../inband/ipmi-on-pci.ts");
  const onPci = kcs === undefined && devices.length === 0 && (await ipmiOnPci()).length > 0;
  const byFirmware = devices.length > 0 ? "SMBIOS" : onPci ? "PCI" : undefined;
  return {
    ssif: devices.some(({ interfaceType }) => interfaceType === "SSIF"),
    kcs,
    namedBy: kcs === undefined ? byFirmware : "rivet.kcs",
  };
}

/** What SMBIOS says of the way to the BMC. A damaged table is not this function's to report: the run reads it again. */
async function ipmiInFirmware(): Promise<readonly IpmiDeviceInformation[]> {
  try {
    const [{ readSmbiosTables }, { parseSmbios }] = await Promise.all([
      import("../../inband/smbios/read-tables.ts"),
      import("../../inband/smbios/parse-smbios.ts"),
    ]);
    return parseSmbios(await readSmbiosTables()).ipmiDevices.filter(({ base }) => base.address !== 0n);
  } catch {
    return [];
  }
}
