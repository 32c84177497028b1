import type { Structure } from "./structure.ts";

/** IPMI Device Information. SMBIOS 3.7 §7.39 (type 38); IPMI 2.0 appendix C1. */
export interface IpmiDeviceInformation {
  /** A number where the firmware names an interface that the specification does not know. */
  readonly interfaceType: "unknown" | "KCS" | "SMIC" | "BT" | "SSIF" | number;
  /** For example "2.0". */
  readonly ipmiVersion: string;
  /** Slave address on the I2C bus, 8 bits with bit 0 clear: 20h. */
  readonly i2cSlaveAddress: number;
  /** Where the registers are; for SSIF the address on the SMBus. */
  readonly base: { readonly space: "io" | "memory" | "smbus"; readonly address: bigint };
  /** Bytes from one register to the next; 1 if the firmware does not tell. */
  readonly registerSpacingBytes: 1 | 4 | 16;
  /** Interrupt number; undefined if there is none. */
  readonly interrupt?: number;
}

const interfaceTypes = ["unknown", "KCS", "SMIC", "BT", "SSIF"] as const;

/** @throws DecodeError */
export function parseIpmiDeviceInformation(structure: Structure): IpmiDeviceInformation {
  const number = structure.uint8(0x04);
  const interfaceType = interfaceTypes[number] ?? number;
  const revision = structure.uint8(0x05);
  const i2cSlaveAddress = structure.uint8(0x06);
  const raw = structure.uint64(0x08);
  const modifier = structure.has(0x10) ? structure.uint8(0x10) : 0;
  const interrupt = structure.has(0x11) ? structure.uint8(0x11) : 0;
  return {
    interfaceType,
    ipmiVersion: `${revision >> 4}.${revision & 0x0f}`,
    i2cSlaveAddress,
    base: interfaceType === "SSIF" ? { space: "smbus", address: raw } : registers(raw, modifier),
    registerSpacingBytes: ([1, 4, 16] as const)[modifier >> 6] ?? 1,
    // Bit 3 says whether the interrupt number counts.
    ...((modifier & 0x08) !== 0 && interrupt !== 0 ? { interrupt } : {}),
  };
}

/** Bit 0 of the address tells I/O from memory; the address's own bit 0 stands in bit 4 of the modifier. */
function registers(raw: bigint, modifier: number): IpmiDeviceInformation["base"] {
  const leastSignificantBit = (modifier & 0x10) === 0 ? 0n : 1n;
  return { space: (raw & 1n) === 1n ? "io" : "memory", address: (raw & ~1n) | leastSignificantBit };
}
