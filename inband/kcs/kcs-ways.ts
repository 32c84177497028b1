import { readFile } from "node:fs/promises";
import type { Transport } from "../../ipmi/transport.ts";
import type { Clock } from "../clock.ts";
import type { Way } from "../openipmi/open-bmc.ts";
import type { IpmiDeviceInformation } from "../smbios/type-38-ipmi-device.ts";
import { openDevPort } from "./dev-port.ts";
import { driverHolding } from "./io-ports.ts";
import type { KcsAddress } from "./kcs-address.ts";
import { nobody } from "./kcs-registers.ts";
import { KcsTransport, kcsName } from "./kcs-transport.ts";
import type { PortIo } from "./port-io.ts";

export interface KcsWaysOptions {
  /** What the operator says (key `kcs`). It counts alone: the firmware is not believed then. */
  readonly configured: KcsAddress | undefined;
  /** What SMBIOS says (type 38). */
  readonly named: readonly IpmiDeviceInformation[];
  readonly clock: Clock;
  /** How long to wait for somebody behind the ports: a BMC that boots may not drive them. */
  readonly waitMs: number;
  readonly openPorts?: () => PortIo;
  /** The text of /proc/ioports. */
  readonly readIoPorts?: () => Promise<string>;
}

const lookEveryMs = 500;

/**
 * Raw KCS, by the addresses that operator or firmware name. Never by a guess, not even the usual 0xca2: a read of a data
 * register takes a byte away from whoever else listens there, and a write may do anything.
 */
export function kcsWays(options: KcsWaysOptions): readonly Way[] {
  const { configured, named } = options;
  if (configured !== undefined) return [wayAt(configured, "rivet.kcs", options)];
  // Boards with a socket for a BMC leave the address zero.
  const devices = named.filter(({ base }) => base.address !== 0n);
  if (devices.length === 0) {
    return [closed("raw KCS", "SMBIOS names no BMC; rivet.kcs=io:0xca2 (flag --kcs) names the usual ports")];
  }
  return devices.map((device) => wayTo(device, options));
}

function wayTo({ interfaceType, base, registerSpacingBytes }: IpmiDeviceInformation, options: KcsWaysOptions): Way {
  const where = `${base.space} 0x${base.address.toString(16)}`;
  const named = (reason: string): Way => ({ ...closed("raw KCS", reason), namedBy: "SMBIOS" });
  if (interfaceType !== "KCS") return named(`SMBIOS names ${interfaceType} at ${where}, which is no KCS`);
  const spacing = registerSpacingBytes;
  if (base.space !== "io" || base.address + BigInt(spacing) > 0xffffn) {
    return named(`SMBIOS names registers at ${where}; only the kernel's driver reaches those outside the I/O ports`);
  }
  return wayAt({ port: Number(base.address), spacing }, "SMBIOS", options);
}

const closed = (name: string, reason: string): Way => ({ name, open: () => Promise.reject(new Error(reason)) });

function wayAt(address: KcsAddress, namedBy: string, options: KcsWaysOptions): Way {
  return { name: kcsName(address), namedBy, open: (signal) => openKcs(address, options, signal) };
}

/** @throws Error that says why there is no way */
async function openKcs(address: KcsAddress, options: KcsWaysOptions, signal: AbortSignal): Promise<Transport> {
  const { clock, waitMs, openPorts = openDevPort, readIoPorts = () => readFile("/proc/ioports", "latin1") } = options;
  const { port, spacing } = address;
  const driver = driverHolding([port, port + spacing], await readIoPorts());
  if (driver !== undefined) throw new Error(`the kernel's driver ${driver} holds its ports`);
  const ports = openPorts();
  try {
    const startedAt = clock.now();
    while (ports.read(port + spacing) === nobody) {
      const waitedMs = clock.now() - startedAt;
      if (waitedMs >= waitMs) {
        const since = waitedMs === 0 ? "" : ` for ${Math.round(waitedMs / 1000)} s`;
        throw new Error(`nobody answers at its ports (status FFh${since})`);
      }
      await clock.sleep(lookEveryMs, signal);
    }
    return new KcsTransport(ports, address, clock);
  } catch (error) {
    ports.close();
    throw error;
  }
}
