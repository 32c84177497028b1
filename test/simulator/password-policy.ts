import { type SimulatedUser, sameBytes } from "./users.ts";

/** What a BMC demands of a password. */
export interface PasswordPolicy {
  /** Characters. */
  readonly minLength: number;
  readonly maxLength: number;
  /** How many of each kind at least. */
  readonly upper: number;
  readonly lower: number;
  readonly digits: number;
  readonly specials: number;
  /** The only specials that are allowed; any if left out. */
  readonly allowedSpecials?: string;
  /** No two equal neighbours. */
  readonly noRepeats?: true;
  /** Neither the user's name nor that backwards. */
  readonly withoutName?: true;
  /** None that a user of this BMC has, nor the one before. */
  readonly unique?: true;
  readonly refused: number;
}

/** Nothing is demanded of a password but what is overridden. */
export const noPolicy: PasswordPolicy = {
  minLength: 0,
  maxLength: 20,
  upper: 0,
  lower: 0,
  digits: 0,
  specials: 0,
  refused: 0xcc,
};

/**
 * Whether a BMC with this policy takes the password.
 * @param password filled with 00h
 */
export function follows(
  policy: PasswordPolicy,
  password: Uint8Array,
  name: string,
  users: readonly SimulatedUser[],
): boolean {
  const text = Buffer.from(password).toString("latin1").replace(/\0+$/, "");
  const count = (pattern: RegExp) => text.match(pattern)?.length ?? 0;
  const specials = text.match(/[^A-Za-z0-9]/g) ?? [];
  const backwards = [...name].reverse().join("");
  const contains = (part: string) => part !== "" && text.toLowerCase().includes(part.toLowerCase());
  return (
    text.length >= policy.minLength &&
    text.length <= policy.maxLength &&
    count(/[A-Z]/g) >= policy.upper &&
    count(/[a-z]/g) >= policy.lower &&
    count(/[0-9]/g) >= policy.digits &&
    specials.length >= policy.specials &&
    (policy.allowedSpecials === undefined || specials.every((each) => policy.allowedSpecials?.includes(each))) &&
    !(policy.noRepeats === true && /(.)\1/.test(text)) &&
    !(policy.withoutName === true && (contains(name) || contains(backwards))) &&
    !(policy.unique === true && users.some((user) => user.password && sameBytes(user.password, filled(password))))
  );
}

function filled(password: Uint8Array): Uint8Array {
  const stored = new Uint8Array(20);
  stored.set(password);
  return stored;
}
