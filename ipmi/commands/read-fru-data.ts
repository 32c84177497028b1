import { rest, uint8, uint16LE } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Read FRU Data: a piece of a FRU device.
 * IPMI 2.0 §34.2.
 *
 * Offset and counts are in the unit that Get FRU Inventory Area Info names (bytes or words). Ask for 32 bytes; on C7h, C8h or
 * CAh ask for fewer (fru/reading.ts). Fewer than asked is no error; a count of 0 is the end; past the end C9h, C8h or FFh.
 */
export const readFruData = command({
  name: "Read FRU Data",
  netFn: NetFn.storage,
  cmd: 0x11,
  repeatable: true,
  request: { fruDeviceId: uint8, offset: uint16LE, count: uint8 },
  response: {
    countReturned: uint8,
    /** All bytes that came; only `countReturned` bytes, or twice as many if the unit is words, are the FRU's. */
    data: rest(),
  },
  codes: { 129: "FRU device busy" },
  checkResponse: ({ countReturned, data }) =>
    data.length < countReturned ? `${countReturned} bytes announced, ${data.length} came` : undefined,
});
