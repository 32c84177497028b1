import { byte, flag, inByte, rest, uint, uint8 } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Get System Boot Options: one parameter, as bytes; boot-options.ts reads them.
 * IPMI 2.0 §28.13. Unsupported parameters get 80h. ipmi_sim has them only with `chassis_control` (CCh otherwise).
 */
export const getSystemBootOptions = command({
  name: "Get System Boot Options",
  netFn: NetFn.chassis,
  cmd: 0x09,
  repeatable: true,
  request: {
    parameterSelector: inByte(uint(6, 0)),
    setSelector: uint8,
    blockSelector: uint8,
  },
  response: {
    /** 1 by this specification. */
    parameterVersion: inByte(uint(3, 0)),
    parameter: byte({ invalidOrLocked: flag(7), selector: uint(6, 0) }),
    parameterData: rest(),
  },
  codes: { 128: "parameter not supported" },
});
