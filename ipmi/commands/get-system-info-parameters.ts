import { flag, inByte, rest, uint8 } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Get System Info Parameters: one parameter, as bytes; system-info-parameters.ts reads them.
 * IPMI 2.0 §22.14b. Optional: 80h and C1h are common. OpenBMC answers CBh while a text was never set.
 */
export const getSystemInfoParameters = command({
  name: "Get System Info Parameters",
  netFn: NetFn.app,
  cmd: 0x59,
  repeatable: true,
  request: {
    revisionOnly: inByte(flag(7)),
    parameterSelector: uint8,
    /** Which part of a text, from 0. */
    setSelector: uint8,
    blockSelector: uint8,
  },
  response: {
    /** 11h by this specification. */
    parameterRevision: uint8,
    parameterData: rest(),
  },
  codes: { 128: "parameter not supported" },
});
