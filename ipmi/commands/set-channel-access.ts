import { channelAccessMode, channelNumber } from "../channel.ts";
import { byte, flagInverted, oneOf } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";
import { privilegeLevel } from "../privilege-level.ts";

/**
 * Set Channel Access: access mode and privilege limit of a channel, stored or in use.
 * IPMI 2.0 §22.22.
 *
 * Read before writing and keep the three authentication bits. On OpenBMC a write restarts the network and the next
 * commands get CEh. A write of the stored copy also changes the one in use on some boards.
 */
export const setChannelAccess = command({
  name: "Set Channel Access",
  netFn: NetFn.app,
  cmd: 0x40,
  repeatable: true,
  request: {
    channelNumber,
    access: byte({
      setting: oneOf({ doNotSet: 0, nonVolatile: 1, volatile: 2 }, 7, 6),
      /** 0b = enabled. */
      pefAlerting: flagInverted(5),
      /** 0b = enabled. */
      perMessageAuthentication: flagInverted(4),
      /** 0b = enabled. */
      userLevelAuthentication: flagInverted(3),
      accessMode: channelAccessMode,
    }),
    privilegeLevelLimit: byte({
      setting: oneOf({ doNotSet: 0, nonVolatile: 1, volatile: 2 }, 7, 6),
      limit: privilegeLevel,
    }),
  },
  response: {},
  codes: {
    130: "set not supported on this channel (session-less)",
    131: "access mode not supported",
  },
});
