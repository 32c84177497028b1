import type { AccountRefusedError } from "../inband/account/account-error.ts";
import { isStillEmpty } from "../inband/account/choose-place.ts";
import { generatePassword } from "../inband/account/credentials.ts";
import type { FormerAccount } from "../inband/account/plan-account.ts";
import type { AccountPassword, EscrowedPasswords, WantedAccount } from "../inband/account/wanted-account.ts";
import type { Conversation } from "../inband/conversation.ts";
import type { CompletionCodeError } from "../ipmi/errors.ts";
import { formText, type PasswordForm } from "../ipmi/password-form.ts";
import { PasswordLadder } from "../ipmi/password-ladder.ts";

/** What an escrowed account needs of the run. */
export interface EscrowOptions {
  /** The form to begin with; the usual one if left out. */
  readonly firstForm: PasswordForm | undefined;
  readonly randomBelow: (below: number) => number;
  readonly note: (text: string) => void;
  /** Slots where the account may go if the BMC refuses its name in the first one. */
  readonly otherSlots: readonly number[];
  /** Further accounts of ours on the BMC, which nobody needs once this one works. */
  readonly former: readonly FormerAccount[];
  /** When the slot was last looked at, by the conversation's clock. */
  readonly lookedAt: number;
  /** Has the service store the account with this password and returns its identifier there. */
  readonly store: (wanted: WantedAccount, password: Buffer, signal: AbortSignal) => Promise<string>;
}

/** A BMC that refuses the name in that many slots refuses the name, not the slots. */
const mostMoves = 7;

/** An account that the service has stored, with each password that is tried. Disposing wipes the password. */
export class EscrowedAccount implements EscrowedPasswords, Disposable {
  readonly #options: EscrowOptions;
  readonly #ladder: PasswordLadder;
  readonly #otherSlots: number[];
  #movesLeft = mostMoves;
  #wanted: WantedAccount;
  #characters: Buffer = Buffer.alloc(0);
  #accountId = "";
  #lookedAt: number;

  private constructor(wanted: WantedAccount, options: EscrowOptions) {
    this.#wanted = wanted;
    this.#options = options;
    this.#lookedAt = options.lookedAt;
    this.#otherSlots = [...options.otherSlots];
    this.#ladder = new PasswordLadder(options.firstForm);
  }

  /** Makes a password and has it stored. @throws ServiceError */
  static async make(wanted: WantedAccount, options: EscrowOptions, signal: AbortSignal): Promise<EscrowedAccount> {
    const account = new EscrowedAccount(wanted, options);
    await account.#storeNewPassword(signal);
    return account;
  }

  get wanted(): WantedAccount {
    return this.#wanted;
  }

  /** Further accounts of ours on the BMC. */
  get former(): readonly FormerAccount[] {
    return this.#options.former;
  }

  /** When the slot was last looked at before the service was asked to store the account: that may have taken its time. */
  get lookedAt(): number {
    return this.#lookedAt;
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
    const why = refused.message;
    note(`A password of ${formText(form)} does not do (${why}); trying another of ${formText(this.#ladder.form)}`);
    await this.#storeNewPassword(signal);
    return true;
  }

  /**
   * After the BMC refused the name: an account of ours keeps the name it has, a new one goes to another slot (on Cray's
   * boards some slots are fixed that are not called so). The service stores that before the BMC hears of it.
   * @returns false if there is nowhere to go
   */
  async moveOn(refused: AccountRefusedError, conversation: Conversation): Promise<boolean> {
    const { replaces, userName } = this.#wanted;
    const former = replaces === userName ? undefined : replaces;
    const slot = replaces === undefined ? await this.#nextSlot(conversation) : undefined;
    if (former === undefined && slot === undefined) return false;
    const { note, store } = this.#options;
    this.#lookedAt = conversation.clock.now();
    this.#wanted = slot === undefined ? { ...this.#wanted, userName: former ?? userName } : { ...this.#wanted, slot };
    note(`${refused.message} Trying ${slot === undefined ? `its former name "${former}"` : `user ID ${slot}`} first.`);
    this.#accountId = await store(this.#wanted, this.#characters, conversation.signal);
    return true;
  }

  async #nextSlot(conversation: Conversation): Promise<number | undefined> {
    if (this.#movesLeft === 0) return undefined;
    this.#movesLeft -= 1;
    for (;;) {
      const slot = this.#otherSlots.shift();
      if (slot === undefined || (await isStillEmpty(conversation, this.#wanted.channel, slot))) return slot;
    }
  }

  /** A new password takes the place of the current one as soon as the service has it. */
  async #storeNewPassword(signal: AbortSignal): Promise<void> {
    const { randomBelow, store } = this.#options;
    const password = generatePassword(this.#wanted.userName, randomBelow, this.#ladder.form);
    try {
      this.#accountId = await store(this.#wanted, password, signal);
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
