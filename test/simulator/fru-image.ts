import { encodeFru } from "../../ipmi/fru/encode.ts";
import type { FruProfile } from "./profile.ts";

/** The bytes of FRU 0 of a profile; undefined if it has none. */
export function fruImage({ image, refused, badChecksum, placeholders }: FruProfile): Uint8Array | undefined {
  if (refused !== undefined) return undefined;
  if (image !== undefined) return Uint8Array.from(Buffer.from(image, "hex"));
  const unset = placeholders === true;
  const fru = encodeFru({
    board: {
      manufacturer: unset ? "To Be Filled By O.E.M." : "Acme Computers",
      productName: unset ? "Default string" : "Board One",
      serialNumber: unset ? "0123456789" : "BS-1",
      partNumber: unset ? "Not Specified" : "BP-1",
    },
    product: {
      manufacturer: unset ? "To Be Filled By O.E.M." : "Acme Computers",
      productName: unset ? "Default string" : "Rack One",
      serialNumber: unset ? "System Serial Number" : "PS-1",
    },
  });
  // The board area is the first: its last byte is its checksum.
  const boardEnd = 8 + 8 * (fru[9] ?? 0);
  if (badChecksum === true) fru[boardEnd - 1] = ((fru[boardEnd - 1] ?? 0) + 1) & 0xff;
  return fru;
}
