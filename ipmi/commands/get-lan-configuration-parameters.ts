import { byte, flag, rest, uint, uint8 } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Get LAN Configuration Parameters: one parameter of a LAN channel, as bytes; lan-parameters.ts reads them.
 * IPMI 2.0 §23.2.
 *
 * Unsupported parameters get 80h, on some boards C9h or CCh. A channel that is no LAN: CBh, CCh, C9h.
 */
export const getLanConfigurationParameters = command({
  name: "Get LAN Configuration Parameters",
  netFn: NetFn.transport,
  cmd: 0x02,
  repeatable: true,
  request: {
    channel: byte({ revisionOnly: flag(7), number: uint(3, 0) }),
    parameterSelector: uint8,
    setSelector: uint8,
    blockSelector: uint8,
  },
  response: {
    /** 11h by this and all earlier specifications. */
    parameterRevision: uint8,
    parameterData: rest(),
  },
  codes: { 128: "parameter not supported" },
});
