import { byte, flag, inByte, optional, uint } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";
import { privilegeLevel } from "../privilege-level.ts";

/**
 * Set User Access: one user's rights on one channel.
 * IPMI 2.0 §22.26.
 *
 * Always send `sessionLimit` (0): Intel boards answer C7h without it, OpenBMC answers CCh to any other value.
 * `callbackOnly` must be false: Gigabyte MD90-FS0-ZB applies it to LAN logins. OpenBMC answers FFh for a user without a name.
 */
export const setUserAccess = command({
  name: "Set User Access",
  netFn: NetFn.app,
  cmd: 0x43,
  repeatable: true,
  request: {
    access: byte({
      /** False leaves the next three bits as they are on the BMC. */
      changeBits: flag(7),
      callbackOnly: flag(6),
      linkAuthentication: flag(5),
      ipmiMessaging: flag(4),
      channelNumber: uint(3, 0),
    }),
    userId: inByte(uint(5, 0)),
    privilegeLimit: inByte(privilegeLevel),
    /** Simultaneous sessions of this user; 0 is no limit of its own. */
    sessionLimit: optional(inByte(uint(3, 0))),
  },
  response: {},
  codes: { 130: "not supported on this channel (session-less)" },
});
