import { guidToUuid } from "../../ipmi/guid.ts";
import type { SmbiosVersion } from "./entry-point.ts";
import type { Structure } from "./structure.ts";

/** System Information. SMBIOS 3.7 §7.2 (type 1). Texts that the firmware left out are "". */
export interface System {
  readonly manufacturer: string;
  readonly productName: string;
  readonly version: string;
  readonly serialNumber: string;
  /** RFC 4122 text form in lower case; undefined before SMBIOS 2.1. Not yet checked: see identify-machine.ts. */
  readonly uuid?: string;
  readonly skuNumber: string;
  readonly family: string;
}

/** @throws DecodeError */
export function parseSystem(structure: Structure, version: SmbiosVersion): System {
  structure.bytes(0x04, 4);
  return {
    manufacturer: structure.text(0x04),
    productName: structure.text(0x05),
    version: structure.text(0x06),
    serialNumber: structure.text(0x07),
    ...(structure.length > 0x08 ? { uuid: formatUuid(structure.bytes(0x08, 16), version) } : {}),
    skuNumber: structure.text(0x19),
    family: structure.text(0x1a),
  };
}

/**
 * A UUID as text. Since SMBIOS 2.6 the first three fields stand least significant byte first; before, all bytes stood
 * in the order of the text. SMBIOS 3.7 §7.2.1.
 */
function formatUuid(data: Uint8Array, version: SmbiosVersion): string {
  const mixed = version.major > 2 || (version.major === 2 && version.minor >= 6);
  return guidToUuid(data, mixed ? "smbios" : "rfc4122");
}
