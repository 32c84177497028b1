import { CompletionCode } from "./completion-code.ts";
import { formText, type PasswordForm, passwordForms } from "./password-form.ts";

/** Some BMCs keep a history of passwords or lock an ID after many refusals; a ninth attempt was never seen to help. */
export const mostPasswords = 8;

/** A size that the BMC does not take, not a password: C7h by the specification, C8h on Supermicro X11. */
const sizeRefused: ReadonlySet<number> = new Set([
  CompletionCode.requestLengthInvalid,
  CompletionCode.requestLengthLimitExceeded,
]);

/** The same in 20 bytes, but for the first form: there is one for that. */
function inTwentyBytes(form: PasswordForm): PasswordForm {
  return form.name === "sixteen" ? form : { ...form, bytes: 20 };
}

/**
 * Which form of password is tried, and which after a refusal: the next one of the list, and from the start again, because a
 * password can be refused for what it happens to hold. A size that was refused is not tried again: what differs by its
 * characters goes in the other size then.
 */
export class PasswordLadder {
  #form: PasswordForm;
  readonly #tried: { readonly form: PasswordForm; readonly completionCode: number }[] = [];

  /** @param first what a BMC like this one took the last time */
  constructor(first: PasswordForm = passwordForms[0]) {
    this.#form = first;
  }

  /** The form to try now. */
  get form(): PasswordForm {
    return this.#form;
  }

  /**
   * Goes on to the next form.
   * @param completionCode with which the BMC refused the present one
   * @returns false if enough were tried, or no size is left
   */
  next(completionCode: number): boolean {
    this.#tried.push({ form: this.#form, completionCode });
    if (this.#tried.length >= mostPasswords) return false;
    const badSizes = this.#tried.filter((each) => sizeRefused.has(each.completionCode)).map(({ form }) => form.bytes);
    const at = passwordForms.findIndex(({ name }) => name === this.#form.name);
    const next = [...passwordForms.slice(at + 1), ...passwordForms.slice(0, at + 1)]
      .map((form) => (badSizes.includes(16) ? inTwentyBytes(form) : form))
      .find(({ bytes }) => !badSizes.includes(bytes));
    this.#form = next ?? this.#form;
    return next !== undefined;
  }

  /** What was refused, for people: "16 characters in 16 bytes (CCh, CCh), 16 characters in 20 bytes (C7h)". */
  get triedText(): string {
    const codes = new Map<string, string[]>();
    for (const { form, completionCode } of this.#tried) {
      const text = formText(form);
      const code = `${completionCode.toString(16).toUpperCase().padStart(2, "0")}h`;
      codes.set(text, [...(codes.get(text) ?? []), code]);
    }
    return [...codes].map(([form, answers]) => `${form} (${answers.join(", ")})`).join(", ");
  }
}
