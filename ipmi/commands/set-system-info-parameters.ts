import { inByte, rest, uint } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/** Set System Info Parameters: one parameter, as bytes; system-info-parameters.ts makes them. IPMI 2.0 §22.14a. */
export const setSystemInfoParameters = command({
  name: "Set System Info Parameters",
  netFn: NetFn.app,
  cmd: 0x58,
  repeatable: true,
  request: {
    parameterSelector: inByte(uint(6, 0)),
    parameterData: rest(),
  },
  response: {},
  codes: {
    128: "parameter not supported",
    129: "set in progress by another party",
    130: "parameter is read-only",
  },
});
