import { byte, rest, uint, uint8 } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Set LAN Configuration Parameters: one parameter of a LAN channel, as bytes; lan-parameters.ts makes them.
 * IPMI 2.0 §23.1.
 *
 * Read back: ipmitool repeats writes up to ten times for boards that answer 00h, FFh or CCh and do not keep them.
 */
export const setLanConfigurationParameters = command({
  name: "Set LAN Configuration Parameters",
  netFn: NetFn.transport,
  cmd: 0x01,
  repeatable: true,
  request: {
    channel: byte({ number: uint(3, 0) }),
    parameterSelector: uint8,
    parameterData: rest(),
  },
  response: {},
  codes: {
    128: "parameter not supported",
    129: "set in progress by another party",
    130: "parameter is read-only",
    131: "parameter is write-only",
  },
});
