import { fixedText, inByte, uint } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";

/**
 * Get User Name.
 * IPMI 2.0 §22.29.
 *
 * An empty slot is 16 times 00h (read as ""), or 16 times FFh, or "(Empty User)" (HP), or completion code CCh or CBh
 * (Sun, Inventec, Lenovo). C9h is the end of the user IDs. C0h, C3h and FFh never mean "empty".
 */
export const getUserName = command({
  name: "Get User Name",
  netFn: NetFn.app,
  cmd: 0x46,
  repeatable: true,
  request: { userId: inByte(uint(5, 0)) },
  response: { userName: fixedText(16) },
});
