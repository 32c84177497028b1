import type { Structure } from "./structure.ts";

/** Baseboard Information. SMBIOS 3.7 §7.3 (type 2). Texts that the firmware left out are "". */
export interface Baseboard {
  readonly manufacturer: string;
  readonly productName: string;
  readonly version: string;
  readonly serialNumber: string;
  readonly assetTag: string;
}

/** @throws DecodeError */
export function parseBaseboard(structure: Structure): Baseboard {
  structure.bytes(0x04, 4);
  return {
    manufacturer: structure.text(0x04),
    productName: structure.text(0x05),
    version: structure.text(0x06),
    serialNumber: serialOfBaseboard(structure),
    assetTag: structure.text(0x08),
  };
}

/** The serial number alone, of any baseboard: one that is cut short has none. */
export function serialOfBaseboard(structure: Structure): string {
  return structure.text(0x07);
}
