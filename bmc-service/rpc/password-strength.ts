import { invalid } from "./rpc-error.ts";

/**
 * A BMC lets anybody who knows a user name guess its password offline (RAKP message 2, IPMI 2.0 §13.21). The shortest and plainest form
 * that agents use, 16 letters and digits, has 95 bits by this count, and 94 by the rules of ipmi/password.ts. One character less is
 * refused, and so are 13 of all kinds.
 */
const leastBits = 90;

/** A random password of 16 characters has fewer different ones once in 10^10 times; one that repeats itself has. */
const leastDifferent = 6;

/** Kinds of characters: whether one is of that kind, and how many there are. */
const kinds: readonly { readonly has: (byte: number) => boolean; readonly size: number }[] = [
  { has: (byte) => byte >= 0x61 && byte <= 0x7a, size: 26 },
  { has: (byte) => byte >= 0x41 && byte <= 0x5a, size: 26 },
  { has: (byte) => byte >= 0x30 && byte <= 0x39, size: 10 },
];
const others = 0x7f - 0x20 - 62;

/**
 * Refuses a password that cannot be random enough, by its length and the kinds of its characters. That it is random, only its maker
 * knows.
 * @param password printable ASCII
 * @throws RpcError INVALID_ARGUMENT
 */
export function requireStrong(field: string, password: Uint8Array): void {
  const used = kinds.filter(({ has }) => password.some(has));
  const isOther = (byte: number) => !kinds.some(({ has }) => has(byte));
  const alphabet = used.reduce((sum, { size }) => sum + size, password.some(isOther) ? others : 0);
  const bits = Math.floor(password.length * Math.log2(alphabet));
  if (bits < leastBits) {
    const text = `it is too weak: ${password.length} characters of ${alphabet} have ${bits} bits at most, ${leastBits} are needed`;
    throw invalid(field, `${text}; make a random one of 16 letters and digits or more`);
  }
  if (new Set(password).size < leastDifferent) {
    throw invalid(field, `it is too weak: it has fewer than ${leastDifferent} different characters; make a random one`);
  }
}
