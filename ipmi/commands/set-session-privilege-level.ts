import { inByte } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";
import { privilegeLevel } from "../privilege-level.ts";

/**
 * Set Session Privilege Level: raise a session from User to the level that the login asked for.
 * IPMI 2.0 §22.18. `unspecified` asks for the present level and changes nothing.
 */
export const setSessionPrivilegeLevel = command({
  name: "Set Session Privilege Level",
  netFn: NetFn.app,
  cmd: 0x3b,
  repeatable: true,
  request: { privilegeLevel: inByte(privilegeLevel) },
  response: { privilegeLevel: inByte(privilegeLevel) },
  codes: {
    128: "requested level not available for this user",
    129: "requested level exceeds the channel's or the user's limit",
    130: "cannot disable user level authentication",
  },
});
