import { byte, flag, rest, uint } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Set System Boot Options: one parameter, as bytes; boot-options.ts makes them.
 * IPMI 2.0 §28.12.
 *
 * Without parameter data only `markInvalid` is changed.
 */
export const setSystemBootOptions = command({
  name: "Set System Boot Options",
  netFn: NetFn.chassis,
  cmd: 0x08,
  repeatable: true,
  request: {
    parameter: byte({
      /** Mark the parameter invalid or locked. */
      markInvalid: flag(7),
      selector: uint(6, 0),
    }),
    parameterData: rest(),
  },
  response: {},
  codes: {
    128: "parameter not supported",
    129: "set in progress by another party",
    130: "parameter is read-only",
  },
});
