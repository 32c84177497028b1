import { randomInt } from "node:crypto";
import { type RandomBelow, randomPassword } from "../../ipmi/password.ts";
import { type PasswordForm, passwordForms } from "../../ipmi/password-form.ts";

/** From the kernel's cryptographic source, without modulo bias. */
export const cryptoRandomBelow: RandomBelow = (below) => randomInt(below);

const letters = "abcdefghijklmnopqrstuvwxyz0123456789";

/** Bytes that Set User Name takes are 16; one is left for a 00h, which some BMCs need at the end. */
const userNameLength = 15;
/** Shorter random parts would soon meet a name that another machine's account had. */
const leastRandom = 4;

/** The service's policy asks for an account that cannot be made. */
export class PolicyError extends Error {
  override readonly name = "PolicyError";
  readonly code = "policy";
}

/** Characters at the end of a name that follow from all before them: one of 46,656 other names has them by chance. */
const checksumLength = 3;
/** With fewer characters after the prefix there is no checksum: too little of them would be random. */
const leastToTell = 10;

/**
 * A user name that is not taken: the prefix and lower-case letters and digits, 15 characters in all, after the prefix at least
 * one digit and one letter. They are random but for the last three, a checksum by which the name is known as ours; a prefix of
 * more than 5 characters leaves no room for one. With the prefix "rivet" that are nearly 36^7 names, 36 bits. OpenBMC takes
 * no hyphen.
 * @throws PolicyError if the prefix is empty, does not begin with a lower-case letter, holds anything but those and
 *   digits, or has more than 11 characters
 */
export function generateUserName(
  prefix: string,
  randomBelow: RandomBelow = cryptoRandomBelow,
  taken: ReadonlySet<string> = new Set(),
): string {
  if (!/^[a-z][a-z0-9]*$/.test(prefix) || prefix.length > userNameLength - leastRandom) {
    throw new PolicyError(
      `user name prefix "${prefix}": it must be 1 to ${userNameLength - leastRandom} lower-case letters and digits, ` +
        "a letter first; change it in the service's policy",
    );
  }
  const hasChecksum = userNameLength - prefix.length >= leastToTell;
  const randomEnd = hasChecksum ? userNameLength - checksumLength : userNameLength;
  let name: string;
  do {
    name = prefix;
    while (name.length < randomEnd) name += letters.charAt(randomBelow(letters.length));
    if (hasChecksum) name += checksumOf(name);
  } while (taken.has(name) || !isMixed(name.slice(prefix.length)));
  return name;
}

/**
 * Whether a name has exactly the shape of those that are made here: an account that we made, although nobody remembers
 * it. "rivetoperator01" is as long as ours, but does not end with its checksum. With a prefix that leaves no room for a
 * checksum no name has our shape: somebody else may well have chosen it.
 */
export function hasOurShape(prefix: string, name: string): boolean {
  const rest = name.slice(prefix.length);
  return (
    name.startsWith(prefix) &&
    name.length === userNameLength &&
    rest.length >= leastToTell &&
    /^[a-z0-9]+$/.test(rest) &&
    isMixed(rest) &&
    name.endsWith(checksumOf(name.slice(0, -checksumLength)))
  );
}

/** FNV-1a in 32 bits, as three of our letters and digits. It keeps no secret: it tells our names from those of people. */
function checksumOf(text: string): string {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return (hash % 36 ** checksumLength).toString(36).padStart(checksumLength, "0");
}

function isMixed(text: string): boolean {
  return /[0-9]/.test(text) && /[a-z]/.test(text);
}

/** See randomPassword. In a Buffer, whose memory is all that holds it. */
export function generatePassword(
  avoid = "",
  randomBelow: RandomBelow = cryptoRandomBelow,
  form: PasswordForm = passwordForms[0],
): Buffer {
  return Buffer.from(randomPassword(avoid, randomBelow, form).buffer);
}
