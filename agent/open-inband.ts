import { systemClock } from "../inband/clock.ts";
import { ipmiOnPci } from "../inband/ipmi-on-pci.ts";
import type { KcsAddress } from "../inband/kcs/kcs-address.ts";
import { openBmc, type TriedWay, type Way } from "../inband/openipmi/open-bmc.ts";
import { parseSmbios } from "../inband/smbios/parse-smbios.ts";
import { readSmbiosTables } from "../inband/smbios/read-tables.ts";
import type { IpmiDeviceInformation } from "../inband/smbios/type-38-ipmi-device.ts";
import type { Transport } from "../ipmi/transport.ts";

export interface InbandOptions {
  /** The only device node to try, and no other way; undefined: every way there is. */
  readonly device?: string | undefined;
  /** Where the KCS registers are, if the firmware is not to be believed. */
  readonly kcs?: KcsAddress | undefined;
  /** How long raw KCS waits for somebody behind its ports, in milliseconds. */
  readonly kcsWaitMs: number;
  /** Told of every way that failed, also if a later one works. */
  readonly onFailed?: (way: TriedWay) => void;
}

/**
 * The first in-band way to this machine's BMC: the kernel's device nodes, then raw KCS at the ports that the operator or
 * SMBIOS names.
 * @throws NoBmcError with every way that was tried
 */
export async function openInband(options: InbandOptions, signal: AbortSignal): Promise<Transport> {
  const { device, onFailed = () => undefined } = options;
  if (device !== undefined) return await openBmc({ signal, onFailed, devices: [device] });
  return await openBmc({ signal, onFailed, otherWays: () => otherWays(options, signal) });
}

async function otherWays(options: InbandOptions, signal: AbortSignal): Promise<readonly Way[]> {
  const onPci = (await ipmiOnPci()).map(({ address, interfaceType }) => {
    const reason = `an IPMI interface (${interfaceType}) of which the kernel's driver made no device`;
    return { name: `PCI device ${address}`, namedBy: "PCI", open: () => Promise.reject(new Error(reason)) };
  });
  return [...(await rawKcs(options, signal)), ...onPci];
}

async function rawKcs({ kcs, kcsWaitMs }: InbandOptions, signal: AbortSignal): Promise<readonly Way[]> {
  const { kcsWays } = await import("../inband/kcs/kcs-ways.ts");
  const named = kcs === undefined ? await ipmiDevicesInFirmware(signal) : [];
  return kcsWays({ configured: kcs, named, clock: systemClock, waitMs: kcsWaitMs });
}

/** A firmware without readable tables names nothing; the run says so by itself. */
async function ipmiDevicesInFirmware(signal: AbortSignal): Promise<readonly IpmiDeviceInformation[]> {
  try {
    return parseSmbios(await readSmbiosTables(undefined, signal)).ipmiDevices;
  } catch {
    signal.throwIfAborted();
    return [];
  }
}
