import { getUserName } from "../../ipmi/commands/get-user-name.ts";
import { setUserPassword } from "../../ipmi/commands/set-user-password.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { type Conversation, sendPatiently } from "../conversation.ts";
import {
  AccountError,
  hasAccess,
  passwordRequest,
  readAccess,
  type WantedAccount,
  writeAccess,
} from "./apply-account.ts";

/**
 * "password tested": the BMC compared the password and it was the same. "read back only": the BMC cannot compare.
 * Simulators and some BMCs say yes to any password: only the login from remote proves it for good.
 */
export type InbandProof = "password tested" | "read back only";

/**
 * Proves the account as far as the machine itself can: the password by the test operation, the rights and the name by
 * reading them back. Rights that did not stick are written once more: some BMCs drop them until the user is enabled.
 * @throws AccountError if the BMC says otherwise; CompletionCodeError, TransportError
 */
export async function proveAccount(
  conversation: Conversation,
  wanted: WantedAccount,
  passwordBytes: 16 | 20,
): Promise<InbandProof> {
  const proof = await testPassword(conversation, wanted, passwordBytes);
  await proveAccess(conversation, wanted);
  const { userName } = await sendPatiently(conversation, getUserName, { userId: wanted.slot });
  if (userName !== wanted.userName) {
    throw new AccountError(
      `user ${wanted.slot}: its name was set to "${wanted.userName}", but the BMC tells "${userName}"`,
    );
  }
  return proof;
}

async function testPassword(
  conversation: Conversation,
  wanted: WantedAccount,
  passwordBytes: 16 | 20,
): Promise<InbandProof> {
  try {
    await sendPatiently(conversation, setUserPassword, passwordRequest(wanted, "test", passwordBytes));
    return "password tested";
  } catch (error) {
    if (!(error instanceof CompletionCodeError)) throw error;
    if (cannotTest.has(error.completionCode)) return "read back only";
    if (error.completionCode === 0x80 || error.completionCode === 0x81) {
      const problem = `user ${wanted.slot}: the BMC took the password but does not know it any more`;
      throw new AccountError(problem, { cause: error });
    }
    throw error;
  }
}

/** No test operation: Supermicro H8QME. */
const cannotTest: ReadonlySet<number> = new Set([
  CompletionCode.invalidCommand,
  CompletionCode.requestLengthInvalid,
  CompletionCode.invalidDataField,
]);

async function proveAccess(conversation: Conversation, wanted: WantedAccount): Promise<void> {
  let now = await readAccess(conversation, wanted);
  if (!hasAccess(now, wanted)) {
    await writeAccess(conversation, wanted);
    now = await readAccess(conversation, wanted);
  }
  const { privilegeLimit, ipmiMessaging, callbackOnly } = now.access;
  if (!hasAccess(now, wanted)) {
    throw new AccountError(
      `user ${wanted.slot}: the rights on channel ${wanted.channel} do not stick: privilege ${privilegeLimit}, ` +
        `IPMI messaging ${ipmiMessaging ? "on" : "off"}${callbackOnly ? ", callback only" : ""}`,
    );
  }
  if (now.enabled.status === "disabled") {
    throw new AccountError(`user ${wanted.slot}: it was enabled, but the BMC says that it is disabled`);
  }
}
