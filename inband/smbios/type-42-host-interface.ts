import type { SmbiosVersion } from "./entry-point.ts";
import type { Structure } from "./structure.ts";

/** One protocol that a management controller speaks over a host interface. SMBIOS 3.7 §7.43.2. */
export interface HostInterfaceProtocol {
  /** A number where the firmware names a protocol that the specification does not know. */
  readonly protocol: "IPMI" | "MCTP" | "Redfish over IP" | number;
  readonly data: Uint8Array;
}

/** Management Controller Host Interface. SMBIOS 3.7 §7.43 (type 42). */
export interface HostInterface {
  /** 40h is a network host interface (DSP0270), 02h KCS, 03h and up UARTs. */
  readonly interfaceType: number;
  /** The interface's own data; for 40h its first byte is the device type (02h and 04h USB, 03h and 05h PCI). */
  readonly interfaceData: Uint8Array;
  readonly protocols: readonly HostInterfaceProtocol[];
}

/**
 * Before SMBIOS 3.2 the bytes after the interface type have no length of their own: they are all interface data, and
 * no protocol is told.
 * @throws DecodeError
 */
export function parseHostInterface(structure: Structure, version: SmbiosVersion): HostInterface {
  const interfaceType = structure.uint8(0x04);
  if (version.major < 3 || (version.major === 3 && version.minor < 2)) {
    return { interfaceType, interfaceData: structure.bytes(0x05, structure.length - 0x05), protocols: [] };
  }
  const dataLength = structure.uint8(0x05);
  const interfaceData = structure.bytes(0x06, dataLength);
  let at = 0x06 + dataLength;
  const count = structure.uint8(at);
  at += 1;
  const protocols: HostInterfaceProtocol[] = [];
  for (let i = 0; i < count; i += 1) {
    const number = structure.uint8(at);
    const length = structure.uint8(at + 1);
    protocols.push({ protocol: protocolName(number), data: structure.bytes(at + 2, length) });
    at += 2 + length;
  }
  return { interfaceType, interfaceData, protocols };
}

function protocolName(number: number): HostInterfaceProtocol["protocol"] {
  if (number === 0x02) return "IPMI";
  if (number === 0x03) return "MCTP";
  return number === 0x04 ? "Redfish over IP" : number;
}
