import type { Structure } from "./structure.ts";

/** BIOS Information. SMBIOS 3.7 §7.1 (type 0). Texts that the firmware left out are "". */
export interface Bios {
  readonly vendor: string;
  readonly version: string;
  /** As the firmware writes it, usually mm/dd/yyyy. */
  readonly releaseDate: string;
}

/** @throws DecodeError */
export function parseBios(structure: Structure): Bios {
  structure.bytes(0x04, 0x0e);
  return {
    vendor: structure.text(0x04),
    version: structure.text(0x05),
    releaseDate: structure.text(0x08),
  };
}
