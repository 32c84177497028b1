import type { Structure } from "./structure.ts";

/** System Enclosure or Chassis. SMBIOS 3.7 §7.4 (type 3). Texts that the firmware left out are "". */
export interface Chassis {
  readonly manufacturer: string;
  /** Kind of chassis, `[6:0]` of the byte: 17h is a rack mount chassis, 1Ch a blade. SMBIOS 3.7 §7.4.1. */
  readonly chassisType: number;
  readonly version: string;
  readonly serialNumber: string;
  readonly assetTag: string;
}

/** @throws DecodeError */
export function parseChassis(structure: Structure): Chassis {
  structure.bytes(0x04, 5);
  return {
    manufacturer: structure.text(0x04),
    chassisType: structure.uint8(0x05) & 0x7f,
    version: structure.text(0x06),
    serialNumber: structure.text(0x07),
    assetTag: structure.text(0x08),
  };
}
