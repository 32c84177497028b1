import { generatePassword } from "../inband/account/credentials.ts";
import type { PasswordForm } from "../inband/account/password-form.ts";
import { formText } from "../inband/account/password-form.ts";
import { PasswordLadder } from "../inband/account/password-ladder.ts";
import type { AccountPassword, EscrowedPasswords, WantedAccount } from "../inband/account/wanted-account.ts";
import type { CompletionCodeError } from "../ipmi/errors.ts";

/** What an escrowed account needs of the run. */
export interface EscrowOptions {
  /** The form to begin with; the usual one if left out. */
  readonly firstForm: PasswordForm | undefined;
  readonly randomBelow: (below: number) => number;
  readonly note: (text: string) => void;
  /** Has the service store the account with this password and returns its identifier there. */
  readonly store: (password: Buffer, signal: AbortSignal) => Promise<string>;
}

/** An account that the service has stored, with each password that is tried. Disposing wipes the password. */
export class EscrowedAccount implements EscrowedPasswords, Disposable {
  readonly wanted: WantedAccount;
  readonly #options: EscrowOptions;
  readonly #ladder: PasswordLadder;
  #characters: Buffer = Buffer.alloc(0);
  #accountId = "";

  private constructor(wanted: WantedAccount, options: EscrowOptions) {
    this.wanted = wanted;
    this.#options = options;
    this.#ladder = new PasswordLadder(options.firstForm);
  }

  /** Makes a password and has it stored. @throws ServiceError */
  static async make(wanted: WantedAccount, options: EscrowOptions, signal: AbortSignal): Promise<EscrowedAccount> {
    const account = new EscrowedAccount(wanted, options);
    await account.#store(signal);
    return account;
  }

  /** Identifier at the service of the account with the current password. */
  get accountId(): string {
    return this.#accountId;
  }

  get current(): AccountPassword {
    return { characters: this.#characters, form: this.#ladder.form };
  }

  get triedText(): string {
    return this.#ladder.triedText;
  }

  async next(refused: CompletionCodeError, signal: AbortSignal): Promise<boolean> {
    const { form } = this.#ladder;
    if (!this.#ladder.next(refused.completionCode)) return false;
    const { note } = this.#options;
    note(`A password of ${formText(form)} was refused (${refused.message}); trying ${formText(this.#ladder.form)}`);
    await this.#store(signal);
    return true;
  }

  /** A new password takes the place of the current one as soon as the service has it. */
  async #store(signal: AbortSignal): Promise<void> {
    const { randomBelow, store } = this.#options;
    const password = generatePassword(this.wanted.userName, randomBelow, this.#ladder.form);
    try {
      this.#accountId = await store(password, signal);
    } catch (error) {
      password.fill(0);
      throw error;
    }
    this.#characters.fill(0);
    this.#characters = password;
  }

  [Symbol.dispose](): void {
    this.#characters.fill(0);
  }
}
