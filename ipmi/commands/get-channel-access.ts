import { channelAccessMode, channelNumber } from "../channel.ts";
import { byte, flagInverted, inByte, oneOf } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";
import { privilegeLevel } from "../privilege-level.ts";

/**
 * Get Channel Access: whether and for which privilege a channel may be used.
 * IPMI 2.0 §22.23.
 */
export const getChannelAccess = command({
  name: "Get Channel Access",
  netFn: NetFn.app,
  cmd: 0x41,
  repeatable: true,
  request: {
    channelNumber,
    /** Which copy: the stored one or the one in use. */
    setting: inByte(oneOf({ nonVolatile: 1, volatile: 2 }, 7, 6)),
  },
  response: {
    access: byte({
      /** 0b = enabled. */
      pefAlerting: flagInverted(5),
      /** 0b = enabled. */
      perMessageAuthentication: flagInverted(4),
      /** 0b = enabled. */
      userLevelAuthentication: flagInverted(3),
      accessMode: channelAccessMode,
    }),
    privilegeLevelLimit: inByte(privilegeLevel),
  },
  codes: { 130: "command not supported for this channel (session-less)" },
});
