import { rest, uint8, uint16LE } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/** Get SDR: one sensor data record, or a piece of it. IPMI 2.0 §33.12. */
export const getSdr = command({
  name: "Get SDR",
  netFn: NetFn.storage,
  cmd: 0x23,
  repeatable: true,
  request: {
    /** 0 where the whole record is asked for. */
    reservationId: uint16LE,
    /** 0 is the first record, FFFFh the last. */
    recordId: uint16LE,
    offset: uint8,
    /** FFh: all of it. */
    count: uint8,
  },
  response: {
    /** FFFFh: this was the last one. */
    nextRecordId: uint16LE,
    data: rest(),
  },
});
