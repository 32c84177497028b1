import { byte, flag, oneOf, optional, uint } from "../codec.ts";
import { command } from "../command.ts";
import { NetFn } from "../net-fn.ts";
import { Secret, secret } from "../secret.ts";

/**
 * Set User Password: disable, enable, set or test one user.
 * IPMI 2.0 §22.30. Over LAN it needs Administrator.
 *
 * Three forms: 18 bytes (a password of 16), 22 bytes (a password of 20, and `twentyBytes`), and 2 bytes to enable or
 * disable without a password. For enable and disable most BMCs take 18 bytes, some only 2 (C7h otherwise); Sun X4140
 * and Quanta boards refuse 2. A BMC remembers the size that was set. Supermicro X11 answers C8h to the wrong size.
 * ipmi_sim answers 00h to every test, and keeps 16 bytes of 20.
 */
export const setUserPassword = command({
  name: "Set User Password",
  netFn: NetFn.app,
  cmd: 0x47,
  repeatable: true,
  secret: true,
  request: {
    user: byte({ twentyBytes: flag(7), id: uint(5, 0) }),
    action: byte({ operation: oneOf({ disable: 0, enable: 1, set: 2, test: 3 }, 1, 0) }),
    /** Left out only to enable or disable. */
    password: optional(secret(16, 20)),
  },
  response: {},
  codes: {
    128: "password test failed: the password does not match",
    129: "password test failed: the password was stored with the other size",
  },
  checkRequest({ user, action, password }) {
    if (password === undefined) {
      const needed = action.operation === "set" || action.operation === "test";
      return needed ? `"${action.operation}" needs a password` : undefined;
    }
    const size = user.twentyBytes ? 20 : 16;
    return password.size === size ? undefined : `a password of ${password.size} bytes, where ${size} are announced`;
  },
});

/**
 * The request to set or test the password of user ID `id` in `size` bytes, filled with 00h.
 * @param characters stay the caller's, to be wiped
 */
export function passwordRequest(id: number, characters: Uint8Array, operation: "set" | "test", size: 16 | 20) {
  const filled = new Uint8Array(size);
  filled.set(characters);
  const password = Secret.fromBytes(filled);
  filled.fill(0);
  return { user: { twentyBytes: size === 20, id }, action: { operation }, password };
}
