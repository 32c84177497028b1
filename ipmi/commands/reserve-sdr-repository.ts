import { uint16LE } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/** Reserve SDR Repository: a number with which records are read in pieces. IPMI 2.0 §33.11. */
export const reserveSdrRepository = command({
  name: "Reserve SDR Repository",
  netFn: NetFn.storage,
  cmd: 0x22,
  repeatable: true,
  request: {},
  response: { reservationId: uint16LE },
});
