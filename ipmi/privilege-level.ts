import { type Bits, nameOrNumber } from "./codec.ts";

/**
 * Privilege levels. IPMI 2.0 §6.8; "no access" is a user's limit only (§22.26, §22.27).
 * 0 is "reserved" or "no change" where it is written; BMCs also answer it for users who were never set up.
 */
export const privilegeLevels = {
  unspecified: 0,
  callback: 1,
  user: 2,
  operator: 3,
  administrator: 4,
  oem: 5,
  noAccess: 15,
} as const;

export type PrivilegeLevel = keyof typeof privilegeLevels | number;

/** `[3:0]` of the byte; levels without a name are read as numbers. */
export const privilegeLevel: Bits<PrivilegeLevel> = nameOrNumber(privilegeLevels, 3, 0);
