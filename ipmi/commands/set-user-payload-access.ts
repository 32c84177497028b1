import { channelNumber } from "../channel.ts";
import { byte, flag, oneOf, reserved, uint, uint8 } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Set User Payload Access: whether a user may open a payload, above all SOL (standard payload 1).
 * IPMI 2.0 §24.6.
 *
 * Best effort: Sun, Intel Windmill and ipmi_sim do not support it, and many BMCs allow SOL without it.
 * Payloads whose bit is false stay as they are.
 */
export const setUserPayloadAccess = command({
  name: "Set User Payload Access",
  netFn: NetFn.app,
  cmd: 0x4c,
  repeatable: true,
  request: {
    channelNumber,
    user: byte({ operation: oneOf({ enable: 0, disable: 1 }, 7, 6), id: uint(5, 0) }),
    /** Standard payloads 1-7; 0 (IPMI messages) cannot be changed. */
    standardPayloads: byte({ sol: flag(1), payloads2to7: uint(7, 2) }),
    reserved1: reserved(1),
    oemPayloads: uint8,
    reserved2: reserved(1),
  },
  response: {},
});
