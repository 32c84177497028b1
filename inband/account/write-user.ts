import { setUserAccess } from "../../ipmi/commands/set-user-access.ts";
import { setUserName } from "../../ipmi/commands/set-user-name.ts";
import { passwordRequest, setUserPassword } from "../../ipmi/commands/set-user-password.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { Secret } from "../../ipmi/secret.ts";
import { type Conversation, isNotNow, type Patience, persistent, sendPatiently } from "../conversation.ts";
import { AccountRefusedError, isWrongLength } from "./account-error.ts";
import { InbandLockedError, isLocked, unlessClosed } from "./inband-locked.ts";
import { unlessItIsSo } from "./unless-it-is-so.ts";
import { hasAccess, hasName, tryReadingAccess } from "./user-state.ts";
import type { AccountPassword, WantedAccount } from "./wanted-account.ts";

/**
 * Gives the slot our name. Intel S5500WBV and Supermicro X12 refuse a name that the slot has got already, also when
 * the first answer was lost.
 * @throws AccountRefusedError, also for codes of a closed interface: whether other slots are refused as well is not known
 *   here; InbandLockedError for D4h, of which a lock is documented
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
    const refused = error instanceof InbandLockedError && !isLocked(error.cause) ? error.cause : error;
    if (!(refused instanceof CompletionCodeError)) throw refused;
    // A busy BMC has decided nothing; FFh for as long as was waited is a way to refuse.
    if (isNotNow(refused) && refused.completionCode !== CompletionCode.unspecified) throw refused;
    throw AccountRefusedError.ofName(slot, userName, refused);
  }
}

/** Sends the password once, in its form. */
export async function sendPassword(
  conversation: Conversation,
  wanted: WantedAccount,
  password: AccountPassword,
  patience: Patience = persistent,
): Promise<void> {
  const request = passwordRequest(wanted.slot, password.characters, "set", password.form.bytes);
  try {
    await sendPatiently(conversation, setUserPassword, request, patience);
  } finally {
    request.password.wipe();
  }
}

/**
 * Gives the rights on the channel, privilege and IPMI messaging in one command. Where that is refused the privilege goes
 * first and alone: Dell R420 and some Supermicro boards want it before messaging is switched on.
 */
export async function writeAccess(conversation: Conversation, wanted: WantedAccount): Promise<void> {
  const { privilege } = wanted;
  const send = (changeBits: boolean) =>
    sendAccess(conversation, wanted, { changeBits, ipmiMessaging: changeBits, privilege });
  const isSo = async () => {
    const access = await tryReadingAccess(conversation, wanted);
    return !(access instanceof CompletionCodeError) && hasAccess(access, wanted);
  };
  try {
    await unlessItIsSo(() => send(true), isSo);
  } catch (error) {
    if (!(error instanceof CompletionCodeError) || isNotNow(error)) throw error;
    await send(false);
    await unlessItIsSo(() => send(true), isSo);
  }
}

/**
 * Sends Set User Access, with its fourth byte if the BMC takes that: it is optional (IPMI 2.0 §22.26), but Intel boards must
 * have it.
 */
export async function sendAccess(
  conversation: Conversation,
  { channel, slot }: Pick<WantedAccount, "channel" | "slot">,
  { changeBits, ipmiMessaging, privilege }: { changeBits: boolean; ipmiMessaging: boolean; privilege: number },
): Promise<void> {
  const flags = { changeBits, callbackOnly: false, linkAuthentication: false, ipmiMessaging, channelNumber: channel };
  const request = { access: flags, userId: slot, privilegeLimit: privilege };
  try {
    await sendPatiently(conversation, setUserAccess, { ...request, sessionLimit: 0 });
  } catch (error) {
    if (!(error instanceof CompletionCodeError && isWrongLength(error))) throw error;
    await sendPatiently(conversation, setUserAccess, request);
  }
}

/**
 * In bytes of zeros that go with it: most BMCs take 16, some none, and one that keeps passwords of 20 may want 20. They refuse
 * the others as of a wrong length, or with CCh.
 */
const enableSizes = [16, 0, 20] as const;

/** Lets the account log in. Lenovo XCC refuses to enable what is enabled. */
export function enable(conversation: Conversation, wanted: WantedAccount): Promise<void> {
  return switchUser(conversation, wanted, "enable");
}

/** Enables or disables a user ID, and looks at it where the answer is not a plain 00h. */
export async function switchUser(
  conversation: Conversation,
  place: Pick<WantedAccount, "channel" | "slot">,
  operation: "enable" | "disable",
): Promise<void> {
  for (const size of enableSizes) {
    try {
      await unlessItIsSo(
        () => sendPatiently(conversation, setUserPassword, switchRequest(place.slot, operation, size)),
        async () => {
          const access = await tryReadingAccess(conversation, place);
          return !(access instanceof CompletionCodeError) && access.enabled.status === `${operation}d`;
        },
      );
      return;
    } catch (error) {
      const isLast = size === enableSizes.at(-1);
      if (isLast || !(error instanceof CompletionCodeError)) throw error;
      if (!isWrongLength(error) && error.completionCode !== CompletionCode.invalidDataField) throw error;
    }
  }
}

function switchRequest(id: number, operation: "enable" | "disable", size: 0 | 16 | 20) {
  const request = { user: { twentyBytes: size === 20, id }, action: { operation } };
  return size === 0 ? request : { ...request, password: Secret.fromBytes(new Uint8Array(size)) };
}
