import { setUserAccess } from "../../ipmi/commands/set-user-access.ts";
import { setUserName } from "../../ipmi/commands/set-user-name.ts";
import { setUserPassword } from "../../ipmi/commands/set-user-password.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { Secret } from "../../ipmi/secret.ts";
import { type Conversation, isNotNow, type Patience, persistent, sendPatiently } from "../conversation.ts";
import { AccountRefusedError, isWrongLength } from "./account-error.ts";
import { unlessClosed } from "./inband-locked.ts";
import { unlessItIsSo } from "./unless-it-is-so.ts";
import { hasAccess, hasName, readAccess } from "./user-state.ts";
import type { AccountPassword, WantedAccount } from "./wanted-account.ts";

/**
 * Gives the slot our name. Intel S5500WBV and Supermicro X12 refuse a name that the slot has got already, also when
 * the first answer was lost.
 */
export async function writeName(conversation: Conversation, wanted: WantedAccount): Promise<void> {
  const { slot, userName } = wanted;
  try {
    await unlessClosed(() =>
      unlessItIsSo(
        () => sendPatiently(conversation, setUserName, { userId: slot, userName }),
        () => hasName(conversation, wanted),
      ),
    );
  } catch (error) {
    // A busy BMC has decided nothing.
    if (!(error instanceof CompletionCodeError) || isNotNow(error)) throw error;
    throw AccountRefusedError.ofName(slot, userName, error);
  }
}

/** Sends the password once, in its form. */
export async function sendPassword(
  conversation: Conversation,
  wanted: WantedAccount,
  password: AccountPassword,
  patience: Patience = persistent,
): Promise<void> {
  const request = passwordRequest(wanted, password, "set", password.form.bytes);
  await sendPatiently(conversation, setUserPassword, request, patience);
}

/** The request to set or test the password in `size` bytes. */
export function passwordRequest(
  { slot }: WantedAccount,
  { characters }: AccountPassword,
  operation: "set" | "test",
  size: 16 | 20,
) {
  const filled = new Uint8Array(size);
  filled.set(characters);
  const secret = Secret.fromBytes(filled);
  filled.fill(0);
  return { user: { twentyBytes: size === 20, id: slot }, action: { operation }, password: secret };
}

/**
 * Gives the rights on the channel, privilege and IPMI messaging in one command. Where that is refused the privilege goes
 * first and alone: Dell R420 and some Supermicro boards want it before messaging is switched on.
 */
export async function writeAccess(conversation: Conversation, wanted: WantedAccount): Promise<void> {
  const { channel, slot, privilege } = wanted;
  const send = (changeBits: boolean) =>
    sendPatiently(conversation, setUserAccess, {
      access: {
        changeBits,
        callbackOnly: false,
        linkAuthentication: false,
        ipmiMessaging: changeBits,
        channelNumber: channel,
      },
      userId: slot,
      privilegeLimit: privilege,
      sessionLimit: 0,
    });
  const isSo = async () => hasAccess(await readAccess(conversation, wanted), wanted);
  try {
    await unlessItIsSo(() => send(true), isSo);
  } catch (error) {
    if (!(error instanceof CompletionCodeError) || isNotNow(error)) throw error;
    await send(false);
    await unlessItIsSo(() => send(true), isSo);
  }
}

/** In bytes of zeros that go with it: most BMCs take 16, some none (C7h), and one that keeps passwords of 20 may want 20. */
const enableSizes = [16, 0, 20] as const;

/** Lets the account log in. Lenovo XCC refuses to enable what is enabled. */
export async function enable(conversation: Conversation, wanted: WantedAccount): Promise<void> {
  for (const size of enableSizes) {
    try {
      await unlessItIsSo(
        () => sendPatiently(conversation, setUserPassword, enableRequest(wanted.slot, size)),
        async () => (await readAccess(conversation, wanted)).enabled.status === "enabled",
      );
      return;
    } catch (error) {
      const isLast = size === enableSizes.at(-1);
      if (isLast || !(error instanceof CompletionCodeError && isWrongLength(error))) throw error;
    }
  }
}

function enableRequest(id: number, size: 0 | 16 | 20) {
  const request = { user: { twentyBytes: size === 20, id }, action: { operation: "enable" as const } };
  return size === 0 ? request : { ...request, password: Secret.fromBytes(new Uint8Array(size)) };
}
