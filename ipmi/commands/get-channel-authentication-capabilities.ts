import { channelNumber } from "../channel.ts";
import { byte, flag, flagInverted, inByte, uint, uint8, uint24LE } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";
import { privilegeLevel } from "../privilege-level.ts";

/**
 * Get Channel Authentication Capabilities: what a login may look like. Needs no session.
 * IPMI 2.0 §22.13.
 *
 * Channel 0Eh asks for the channel on which the request arrives. An IPMI 1.5 BMC refuses `ipmi20` or answers
 * without it. ipmi_sim answers C1h over KCS and D5h inside a LAN session.
 */
export const getChannelAuthenticationCapabilities = command({
  name: "Get Channel Authentication Capabilities",
  netFn: NetFn.app,
  cmd: 0x38,
  repeatable: true,
  request: {
    /** `ipmi20`: answer with IPMI 2.0+ extended data. */
    channel: byte({ ipmi20: flag(7), number: uint(3, 0) }),
    /** The level that the login will ask for. */
    privilegeLevel: inByte(privilegeLevel),
  },
  response: {
    channelNumber,
    authenticationTypes: byte({
      ipmi20: flag(7),
      oem: flag(5),
      password: flag(4),
      md5: flag(2),
      md2: flag(1),
      none: flag(0),
    }),
    login: byte({
      /** K_G is set: a login that knows only the user's password fails. IPMI 2.0 only. */
      kgSet: flag(5),
      /** 0b = enabled. */
      perMessageAuthentication: flagInverted(4),
      /** 0b = enabled. */
      userLevelAuthentication: flagInverted(3),
      nonNullUsers: flag(2),
      nullUsers: flag(1),
      anonymous: flag(0),
    }),
    supports: byte({ ipmi20: flag(1), ipmi15: flag(0) }),
    oemId: uint24LE,
    oemAuxiliary: uint8,
  },
});
