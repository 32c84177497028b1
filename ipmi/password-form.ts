/** What a password looks like, and in how many bytes Set User Password carries it. */
export interface PasswordForm {
  readonly name: "sixteen" | "sixteen in twenty" | "twenty" | "other specials" | "letters and digits";
  readonly characters: 16 | 20;
  /** IPMI 2.0 §22.30: 16 bytes, or 20 with bit 7 of the user ID. */
  readonly bytes: 16 | 20;
  /** The special characters; one or two of them are in each password, if there are any. */
  readonly specials: string;
}

/** All are among ^%$@!~_, of which DGX H200 wants one. Huawei and Lenovo refuse backslashes. */
const usualSpecials = "!@%_";
const otherSpecials = "^$~";

/**
 * The forms in the order in which they are tried. The first fits nearly every BMC: Lenovo SR645 wants 16 characters
 * at least, DGX H200 13 to 20, and a board was seen where 20 bytes do not work. C7h or C8h (Supermicro X11) to it is a
 * board that takes 20 bytes only.
 */
export const passwordForms = [
  { name: "sixteen", characters: 16, bytes: 16, specials: usualSpecials },
  { name: "sixteen in twenty", characters: 16, bytes: 20, specials: usualSpecials },
  { name: "twenty", characters: 20, bytes: 20, specials: usualSpecials },
  { name: "other specials", characters: 16, bytes: 16, specials: otherSpecials },
  { name: "letters and digits", characters: 16, bytes: 16, specials: "" },
] as const satisfies readonly PasswordForm[];

/** For people: "16 characters in 20 bytes". */
export function formText({ name, characters, bytes }: PasswordForm): string {
  return `${characters} characters in ${bytes} bytes${peculiarities[name] ?? ""}`;
}

const peculiarities: Readonly<Partial<Record<PasswordForm["name"], string>>> = {
  "other specials": " with other special characters",
  "letters and digits": " without special characters",
};
