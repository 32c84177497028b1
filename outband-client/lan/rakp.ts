import { bytes, decode, encode, Reader, reserved, rest, struct, uint8, uint32LE } from "../../ipmi/codec.ts";
import { DecodeError } from "../../ipmi/errors.ts";
import { decodeRefused, type Refused } from "./open-session.ts";

/**
 * The four messages of the RMCP+ Authenticated Key-Exchange Protocol. IPMI 2.0 §13.20 to §13.23.
 */

/** Names are 0 to 16 bytes. */
export const MAX_USER_BYTES = 16;

const randomNumber = bytes(16);

const rakp1Fields = struct({
  tag: uint8,
  reserved1: reserved(3),
  bmcSessionId: uint32LE,
  consoleRandom: randomNumber,
  /** Requested privilege level in [3:0]; bit 4: look the user up by name alone. */
  role: uint8,
  reserved2: reserved(2),
  userLength: uint8,
  user: rest(0, MAX_USER_BYTES),
});

const rakp2Fields = struct({
  tag: uint8,
  status: uint8,
  reserved: reserved(2),
  consoleSessionId: uint32LE,
  bmcRandom: randomNumber,
  bmcGuid: bytes(16),
  code: rest(),
});

const rakp3Fields = struct({
  tag: uint8,
  status: uint8,
  reserved: reserved(2),
  bmcSessionId: uint32LE,
  code: rest(),
});

const rakp4Fields = struct({
  tag: uint8,
  status: uint8,
  reserved: reserved(2),
  consoleSessionId: uint32LE,
  code: rest(),
});

export interface Rakp1 {
  readonly tag: number;
  readonly bmcSessionId: number;
  /** 16 bytes. */
  readonly consoleRandom: Uint8Array;
  readonly role: number;
  /** 0-16 bytes. */
  readonly user: Uint8Array;
}

export interface Rakp2 {
  readonly status: 0;
  readonly tag: number;
  readonly consoleSessionId: number;
  /** 16 bytes. */
  readonly bmcRandom: Uint8Array;
  /** 16 bytes. */
  readonly bmcGuid: Uint8Array;
  /** As many bytes as the suite's hash has. */
  readonly code: Uint8Array;
}

export interface Rakp3 {
  readonly tag: number;
  /** 00h, or why the remote console gives up; then without a code. */
  readonly status: number;
  readonly bmcSessionId: number;
  readonly code: Uint8Array;
}

export interface Rakp4 {
  readonly status: 0;
  readonly tag: number;
  readonly consoleSessionId: number;
  /** Truncated as the suite truncates. */
  readonly code: Uint8Array;
}

/** @throws EncodeError, for example for a user name of more than 16 bytes */
export function encodeRakp1(message: Rakp1): Uint8Array {
  return encode(rakp1Fields, { ...message, userLength: message.user.length }, "RAKP Message 1");
}

/** @throws DecodeError */
export function decodeRakp1(payload: Uint8Array): Rakp1 {
  const what = "RAKP Message 1";
  const { userLength, user, ...message } = decode(rakp1Fields, payload, what, "ignored");
  if (user.length < userLength) throw new DecodeError(what, 28, `${userLength} bytes of name, ${user.length} there`);
  return { ...message, user: user.subarray(0, userLength) };
}

export function encodeRakp2(message: Rakp2): Uint8Array {
  return encode(rakp2Fields, message, "RAKP Message 2");
}

/**
 * @param codeBytes bytes of the suite's whole HMAC; what stands behind it is ignored
 * @throws DecodeError
 */
export function decodeRakp2(payload: Uint8Array, codeBytes: number): Rakp2 | Refused {
  const what = "RAKP Message 2";
  const refused = decodeRefused(payload, what);
  if (refused !== undefined) return refused;
  const message = decode(rakp2Fields, payload, what, "ignored");
  return { ...message, status: 0, code: leadingCode(message.code, codeBytes, what) };
}

export function encodeRakp3(message: Rakp3): Uint8Array {
  return encode(rakp3Fields, message, "RAKP Message 3");
}

/** @throws DecodeError */
export function decodeRakp3(payload: Uint8Array): Rakp3 {
  return decode(rakp3Fields, payload, "RAKP Message 3", "ignored");
}

export function encodeRakp4(message: Rakp4): Uint8Array {
  return encode(rakp4Fields, message, "RAKP Message 4");
}

/**
 * @param codeBytes bytes of the suite's truncated HMAC; what stands behind it is ignored
 * @throws DecodeError
 */
export function decodeRakp4(payload: Uint8Array, codeBytes: number): Rakp4 | Refused {
  const what = "RAKP Message 4";
  const refused = decodeRefused(payload, what);
  if (refused !== undefined) return refused;
  const message = decode(rakp4Fields, payload, what, "ignored");
  return { ...message, status: 0, code: leadingCode(message.code, codeBytes, what) };
}

function leadingCode(code: Uint8Array, size: number, what: string): Uint8Array {
  if (code.length < size)
    new Reader(what, code).fail(`${size} bytes of authentication code expected, ${code.length} there`);
  return code.subarray(0, size);
}
