import { byte, flag, uint8, uint16LE, uint32LE } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/** Get SDR Repository Info: how many sensor data records there are, and when they changed. IPMI 2.0 §33.9. */
export const getSdrRepositoryInfo = command({
  name: "Get SDR Repository Info",
  netFn: NetFn.storage,
  cmd: 0x20,
  repeatable: true,
  request: {},
  response: {
    /** 51h. */
    version: uint8,
    recordCount: uint16LE,
    /** FFFEh: 64 KiB or more; FFFFh: not known. */
    freeBytes: uint16LE,
    /** Seconds since 1970; FFFFFFFFh: not known. IPMI 2.0 §37. */
    lastAddition: uint32LE,
    lastErase: uint32LE,
    operations: byte({
      overflow: flag(7),
      delete: flag(3),
      partialAdd: flag(2),
      reserve: flag(1),
      allocationInfo: flag(0),
    }),
  },
});
