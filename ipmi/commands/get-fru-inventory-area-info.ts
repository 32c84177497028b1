import { byte, oneOf, uint8, uint16LE } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Get FRU Inventory Area Info: size of a FRU device and its unit of access.
 * IPMI 2.0 §34.1.
 *
 * No FRU: CBh, C3h, C9h (Dell R540), 81h (Lenovo ThinkServer), or size 0.
 */
export const getFruInventoryAreaInfo = command({
  name: "Get FRU Inventory Area Info",
  netFn: NetFn.storage,
  cmd: 0x10,
  repeatable: true,
  request: { fruDeviceId: uint8 },
  response: {
    /** Always in bytes. */
    areaSizeBytes: uint16LE,
    access: byte({ unit: oneOf({ bytes: 0, words: 1 }, 0, 0) }),
  },
});
