import { byte, flag, optional, uint8 } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Chassis Identify: the LED or sound by which a person finds the machine.
 * IPMI 2.0 §28.5.
 *
 * Without any byte the interval is 15 s; an interval of 0 turns it off. `forceOn` is for ever, whatever the
 * interval; older BMCs answer C7h or CCh to it.
 */
export const chassisIdentify = command({
  name: "Chassis Identify",
  netFn: NetFn.chassis,
  cmd: 0x04,
  repeatable: true,
  request: {
    identifyIntervalSeconds: optional(uint8),
    force: optional(byte({ forceOn: flag(0) })),
  },
  response: {},
});
