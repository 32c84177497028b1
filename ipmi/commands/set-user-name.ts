import { fixedText, inByte, uint } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Set User Name.
 * IPMI 2.0 §22.28.
 *
 * CCh for a fixed name, for a name that another slot holds, and on some boards for the name that the slot has already:
 * write only a difference, and read back after an error. OpenBMC takes `[a-zA-Z_][a-zA-Z_0-9]*` only.
 */
export const setUserName = command({
  name: "Set User Name",
  netFn: NetFn.app,
  cmd: 0x45,
  repeatable: true,
  request: { userId: inByte(uint(5, 0)), userName: fixedText(16) },
  response: {},
});
