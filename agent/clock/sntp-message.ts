import { DecodeError } from "../../ipmi/errors.ts";

/** SNTP version 4 as bytes. RFC 4330 §4 and §5; RFC 5905 §7.3. */

const messageBytes = 48;
const client = 3;
const server = 4;
const version = 4;
const unsynchronised = 3; // leap indicator, RFC 4330 §4
/** From 1900-01-01 to 1970-01-01, in seconds. */
const unixEpoch = 2_208_988_800;

/** Length of the number by which an answer names its question, in bytes. */
export const nonceBytes = 8;

/**
 * A question. The transmit timestamp is a random number: a server only gives it back, and nobody else can guess it.
 * @param nonce `nonceBytes` bytes
 */
export function encodeSntpRequest(nonce: Uint8Array): Buffer {
  const bytes = Buffer.alloc(messageBytes);
  bytes[0] = (version << 3) | client;
  bytes.set(nonce, 40);
  return bytes;
}

/** An answer that belongs to a question. */
export type SntpReply =
  | { readonly kind: "time"; readonly time: Date }
  /** The server does not serve us now. `why` is what a person may read. */
  | { readonly kind: "refused"; readonly why: string };

/**
 * An answer to the question with this nonce; undefined if it is an answer to another one, or none at all.
 * @throws DecodeError if it is shorter than an answer is
 */
export function decodeSntpReply(bytes: Uint8Array, nonce: Uint8Array): SntpReply | undefined {
  if (bytes.length < messageBytes) {
    throw new DecodeError("SNTP reply", bytes.length, `ends before its ${messageBytes} bytes`);
  }
  const reply = Buffer.from(bytes.buffer, bytes.byteOffset, messageBytes);
  const first = reply.readUInt8(0);
  if ((first & 7) !== server || !reply.subarray(24, 32).equals(nonce)) return undefined;
  const stratum = reply.readUInt8(1);
  if (stratum === 0) return { kind: "refused", why: `it says "${kissCode(reply)}"` };
  if (stratum > 15 || first >> 6 === unsynchronised)
    return { kind: "refused", why: "it does not know the time itself" };
  const seconds = reply.readUInt32BE(40);
  const fraction = reply.readUInt32BE(44);
  if (seconds === 0 && fraction === 0) return { kind: "refused", why: "it tells no time" };
  return { kind: "time", time: new Date((unixSeconds(seconds) + fraction / 2 ** 32) * 1000) };
}

/** Four letters in the reference identifier: "RATE", "DENY". RFC 4330 §8. */
function kissCode(reply: Buffer): string {
  return reply.toString("latin1", 12, 16).replaceAll(/[^\x20-\x7e]/g, "");
}

/** The count begins anew in 2036: a number below 2^31 is from then on. RFC 4330 §3. */
const unixSeconds = (seconds: number): number => (seconds < 2 ** 31 ? seconds + 2 ** 32 : seconds) - unixEpoch;
