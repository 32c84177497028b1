import { type PasswordForm, passwordForms } from "../../ipmi/password-form.ts";
import { PasswordLadder } from "../../ipmi/password-ladder.ts";
import { Pace } from "../pace.ts";
import { nameBytes, type ScriptedAnswer, scriptedBmc } from "../scripted-bmc.fixture.ts";
import type { AccountPassword, EscrowedPasswords, WantedAccount } from "./wanted-account.ts";

export const wanted: WantedAccount = { channel: 2, slot: 3, userName: "rivet0123456789", privilege: 4 };

/** Passwords that tests can read: "Ab1!" over and over, and the number of the attempt. */
export class ScriptedPasswords implements EscrowedPasswords {
  readonly #ladder: PasswordLadder;
  /** Those that were told, in order. */
  readonly stored: AccountPassword[] = [];

  constructor(first?: PasswordForm) {
    this.#ladder = new PasswordLadder(first);
    this.#store();
  }

  get current(): AccountPassword {
    return this.stored.at(-1) ?? { characters: new Uint8Array(16), form: passwordForms[0] };
  }

  get triedText(): string {
    return this.#ladder.triedText;
  }

  async next({ completionCode }: { readonly completionCode: number }): Promise<boolean> {
    const goesOn = this.#ladder.next(completionCode);
    if (goesOn) this.#store();
    return goesOn;
  }

  #store(): void {
    const { form } = this.#ladder;
    const text = `${"Ab1!".repeat(5).slice(0, form.characters - 1)}${this.stored.length + 1}`;
    this.stored.push({ characters: Buffer.from(text, "latin1"), form });
  }
}

export const nameHex = Buffer.from(nameBytes(wanted.userName)).toString("hex");
/** The first of ScriptedPasswords, in 16 bytes. */
export const passwordHex = Buffer.from("Ab1!Ab1!Ab1!Ab11", "latin1").toString("hex");

/** Get User Access: enabled administrator with IPMI messaging; and the same disabled, or without rights. */
export const withRights = [16, 0x41, 1, 0x14];
export const disabled = [16, 0x81, 1, 0x14];
export const withoutRights = [16, 0x41, 1, 0x0f];

/** A BMC that does as it is told and reads back what is wanted, but for the changes. */
export function obedient(changes: (line: string, nth: number) => ScriptedAnswer | undefined = () => undefined) {
  const bmc = scriptedBmc((name, data, nth) => {
    const line = `${name} ${Buffer.from(data).toString("hex")}`;
    const changed = changes(line, nth);
    if (changed !== undefined) return changed;
    if (name === "Get Device ID") return [0x20, 1, 9, 8, 2, 0x8f, 0, 0, 0, 0, 0];
    if (name === "Get User Access") return withRights;
    if (name === "Get Channel Access") return [0x22, 4];
    return name === "Get User Name" ? nameBytes(wanted.userName) : [];
  });
  return { ...bmc, conversation: { ...bmc.conversation, pace: new Pace(60_000) } };
}
