import { channelNumber } from "../channel.ts";
import { byte, flag, inByte, nameOrNumber, uint } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";
import { privilegeLevel } from "../privilege-level.ts";

/**
 * Get User Access: one user's rights on one channel, and the numbers of users.
 * IPMI 2.0 §22.27.
 *
 * From KCS name the channel: 0Eh means the system interface and gets CCh. C9h is the end of the user IDs.
 * C0h was seen after a write (Quanta S99Q): busy, not empty.
 */
export const getUserAccess = command({
  name: "Get User Access",
  netFn: NetFn.app,
  cmd: 0x44,
  repeatable: true,
  request: { channelNumber, userId: inByte(uint(5, 0)) },
  response: {
    /** How many user IDs the channel has, 1-63; 0 was seen and says nothing. */
    maxUserIds: inByte(uint(5, 0)),
    enabled: byte({
      /** Of this user. `unspecified` from BMCs older than the errata that brought the field. */
      status: nameOrNumber({ unspecified: 0, enabled: 1, disabled: 2 }, 7, 6),
      /** How many users are enabled. */
      count: uint(5, 0),
    }),
    /** Users 1 to this one have names that cannot be changed. */
    fixedNameCount: inByte(uint(5, 0)),
    access: byte({
      callbackOnly: flag(6),
      linkAuthentication: flag(5),
      ipmiMessaging: flag(4),
      privilegeLimit: privilegeLevel,
    }),
  },
});
