import type { PasswordForm } from "./password-form.ts";
import { unmoved } from "./unmoved.ts";

/** A number from 0 to `below` - 1, each as likely. */
export type RandomBelow = (below: number) => number;

const lower = "abcdefghijklmnopqrstuvwxyz";
const letters = lower + lower.toUpperCase();
const digits = "0123456789";

/**
 * A password that satisfies the rules of all BMCs whose rules are known: a letter first, at least 2 upper-case letters,
 * 2 lower-case letters and 2 digits, 1 or 2 special characters if the form has any, no two equal neighbours; as long as the
 * form says.
 *
 * Drawn evenly from all passwords that satisfy the rules, by drawing until one does: 94 bits or more. In bytes, because a
 * string cannot be wiped; whoever owns it fills it with zeros when it is done.
 * @param avoid a text that must not be in it (the user name), in any case
 * @param randomBelow a cryptographic source
 */
export function randomPassword(
  avoid: string,
  randomBelow: RandomBelow,
  { characters, specials }: PasswordForm,
): Uint8Array<ArrayBuffer> {
  const alphabet = letters + digits + specials;
  const password = unmoved(characters);
  do {
    for (let i = 0; i < characters; i += 1) password[i] = alphabet.charCodeAt(randomBelow(alphabet.length));
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
  const wanted = Uint8Array.from(text.toLowerCase(), (character) => character.charCodeAt(0));
  return password.some((_each, at) => wanted.every((code, i) => folded(password[at + i] ?? 0) === code));
}

function folded(code: number): number {
  return isUpper(code) ? code + 0x20 : code;
}
