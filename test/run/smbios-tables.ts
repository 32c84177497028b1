import type { SmbiosTables } from "../../inband/smbios/read-tables.ts";
import { uuidToGuid } from "../../ipmi/guid.ts";

/**
 * SMBIOS 3.0 tables of a machine with this UUID, with a KCS interface at an I/O port if one is given, and with a baseboard
 * if its serial number is given.
 */
export function smbiosTables(uuid: string, kcsPort?: number, boardSerial?: string): SmbiosTables {
  const guid = uuidToGuid(uuid, "smbios") ?? new Uint8Array(16);
  const texts = Buffer.from("Acme\0Rack One\0SN-1\0\0", "latin1");
  const base = Buffer.alloc(8);
  base.writeUInt16LE((kcsPort ?? 0) | 1);
  const kcs = kcsPort === undefined ? [] : [38, 18, 0, 3, 1, 0x20, 0x20, 0xff, ...base, 0, 0, 0, 0];
  const system = [1, 27, 0, 1, 1, 2, 0, 3, ...guid, 6, 0, 0, ...texts];
  const board =
    boardSerial === undefined ? [] : [2, 8, 0, 4, 0, 0, 0, 1, ...Buffer.from(`${boardSerial}\0\0`, "latin1")];
  const table = Uint8Array.from([...system, ...board, ...kcs, 127, 4, 0, 2, 0, 0]);
  const entryPoint = Uint8Array.from([...Buffer.from("_SM3_"), 0, 24, 3, 0, 0, 1, 0, 0, 1, 0, 0, ...new Uint8Array(8)]);
  entryPoint[5] = 256 - (entryPoint.reduce((sum, each) => sum + each, 0) & 0xff);
  return { entryPoint, table };
}
