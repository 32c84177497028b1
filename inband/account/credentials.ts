import { randomInt } from "node:crypto";
import { type PasswordForm, passwordForms } from "./password-form.ts";

/** A number from 0 to `below` - 1, each as likely. */
export type RandomBelow = (below: number) => number;

/** From the kernel's cryptographic source, without modulo bias. */
export const cryptoRandomBelow: RandomBelow = (below) => randomInt(below);

const lower = "abcdefghijklmnopqrstuvwxyz";
const upper = lower.toUpperCase();
const digits = "0123456789";

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
  const letters = lower + digits;
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

/**
 * A password that satisfies the rules of all BMCs whose rules are known: a letter first, at least 2 upper-case letters,
 * 2 lower-case letters and 2 digits, 1 or 2 special characters if the form has any, no two equal neighbours; as long as the
 * form says.
 *
 * Drawn evenly from all passwords that satisfy the rules, by drawing until one does: 94 bits or more. In a Buffer, because a
 * string cannot be wiped; whoever owns it fills it with zeros when it is done.
 * @param avoid a text that must not be in it (the user name), in any case
 */
export function generatePassword(
  avoid = "",
  randomBelow: RandomBelow = cryptoRandomBelow,
  { characters, specials }: PasswordForm = passwordForms[0],
): Buffer {
  const alphabet = Buffer.from(lower + upper + digits + specials, "latin1");
  const password = Buffer.alloc(characters);
  do {
    for (let i = 0; i < characters; i += 1) password[i] = alphabet[randomBelow(alphabet.length)] ?? 0;
  } while (!followsRules(password, specials === "" ? 0 : 1) || contains(password, avoid));
  return password;
}

function followsRules(password: Uint8Array, leastOthers: number): boolean {
  let lowers = 0;
  let uppers = 0;
  let numbers = 0;
  let others = 0;
  for (const [i, each] of password.entries()) {
    if (each === password[i - 1]) return false;
    if (isLower(each)) lowers += 1;
    else if (isUpper(each)) uppers += 1;
    else if (each >= 0x30 && each <= 0x39) numbers += 1;
    else others += 1;
  }
  const first = password[0] ?? 0;
  const classes = lowers >= 2 && uppers >= 2 && numbers >= 2 && others >= leastOthers && others <= 2;
  return classes && (isLower(first) || isUpper(first));
}

function isLower(code: number): boolean {
  return code >= 0x61 && code <= 0x7a;
}

function isUpper(code: number): boolean {
  return code >= 0x41 && code <= 0x5a;
}

/** Without making a string of the password. */
function contains(password: Uint8Array, text: string): boolean {
  if (text === "") return false;
  const wanted = Buffer.from(text.toLowerCase(), "latin1");
  const folded = Buffer.from(password.map((each) => (isUpper(each) ? each + 0x20 : each)));
  const found = folded.includes(wanted);
  folded.fill(0);
  return found;
}
