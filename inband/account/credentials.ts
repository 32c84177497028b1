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

/** With fewer random characters a name that has the shape of ours may be somebody's: "rivetadmin1234" is a word and a number. */
const leastRandomToTell = 10;

/**
 * A user name that is not taken: the prefix and random lower-case letters and digits, 15 characters in all, at least one of
 * them a random digit and one a random letter. With the prefix "rivet" that are nearly 36^10 names, 51 bits. OpenBMC takes no
 * hyphen.
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
  let name: string;
  do {
    name = prefix;
    while (name.length < userNameLength) name += letters.charAt(randomBelow(letters.length));
  } while (taken.has(name) || !isMixed(name.slice(prefix.length)));
  return name;
}

/**
 * Whether a name has exactly the shape of those that are made here: an account that we made, although nobody remembers
 * it. With a prefix that leaves fewer than 10 random characters no name has: somebody else may well have chosen it. The
 * same holds for a name without a digit: "rivetsupervisor" is as long as ours.
 */
export function hasOurShape(prefix: string, name: string): boolean {
  const random = name.slice(prefix.length);
  return (
    name.startsWith(prefix) &&
    name.length === userNameLength &&
    random.length >= leastRandomToTell &&
    /^[a-z0-9]+$/.test(random) &&
    isMixed(random)
  );
}

function isMixed(random: string): boolean {
  return /[0-9]/.test(random) && /[a-z]/.test(random);
}

/** See randomPassword. In a Buffer, whose memory is all that holds it. */
export function generatePassword(
  avoid = "",
  randomBelow: RandomBelow = cryptoRandomBelow,
  form: PasswordForm = passwordForms[0],
): Buffer {
  return Buffer.from(randomPassword(avoid, randomBelow, form).buffer);
}
