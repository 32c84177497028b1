import { setUserPassword } from "../../ipmi/commands/set-user-password.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { type Conversation, isNotNow, sendPatiently } from "../conversation.ts";
import { AccountError } from "./account-error.ts";
import { hasAccess, hasName, readAccess, type UserAccess } from "./user-state.ts";
import type { AccountPassword, WantedAccount } from "./wanted-account.ts";
import { enable, passwordRequest, sendPassword, writeAccess, writeName } from "./write-user.ts";

/**
 * "password tested": the BMC compared the password and it was the same. "read back only": the BMC cannot compare.
 * Simulators and some BMCs say yes to any password: only the login from remote proves it for good.
 */
export type InbandProof = "password tested" | "read back only";

export interface ProvedAccount {
  readonly proof: InbandProof;
  /** What an operator should know, one sentence each. */
  readonly findings: readonly string[];
}

/** A BMC that loses writes can lose a repair too; more than two would hammer it. */
const mostRepairs = 2;

/**
 * Proves the account as far as the machine itself can: Get User Name, Get User Access, and the password by the test
 * operation, three commands. What a later write undid, or what the BMC acknowledged and lost (Supermicro H8QME), is
 * written again, and all is proved again.
 * @throws AccountError if the BMC says otherwise; CompletionCodeError, TransportError
 */
export async function proveAccount(
  conversation: Conversation,
  wanted: WantedAccount,
  password: AccountPassword,
): Promise<ProvedAccount> {
  const findings: string[] = [];
  for (let repairs = 0; ; repairs += 1) {
    const seen = await look(conversation, wanted, password);
    const wrong = wrongText(seen, wanted);
    if (wrong === "") return { proof: seen.password === "the same" ? "password tested" : "read back only", findings };
    if (repairs === mostRepairs) throw new AccountError(`user ${wanted.slot}: ${wrong}`);
    findings.push(`The account was not as written, and was written again: ${wrong}`);
    conversation.pace?.writeWasLost();
    await repair(conversation, wanted, password, seen);
  }
}

interface Seen {
  readonly named: boolean;
  /** Not asked for where the name is gone: some BMCs tell nothing of such a slot. */
  readonly access: UserAccess | undefined;
  readonly password: "the same" | "another" | "not told";
}

async function look(conversation: Conversation, wanted: WantedAccount, password: AccountPassword): Promise<Seen> {
  if (!(await hasName(conversation, wanted))) return { named: false, access: undefined, password: "not told" };
  const access = await readAccess(conversation, wanted);
  return { named: true, access, password: await testPassword(conversation, wanted, password) };
}

async function testPassword(
  conversation: Conversation,
  wanted: WantedAccount,
  password: AccountPassword,
): Promise<Seen["password"]> {
  const { bytes, characters } = password.form;
  const answer = await testInSize(conversation, wanted, password, bytes);
  // Stored in the other size than it was sent: it is the password all the same.
  const other = bytes === 16 ? 20 : 16;
  if (answer !== "other size") return answer;
  const second = characters <= other ? await testInSize(conversation, wanted, password, other) : "another";
  return second === "the same" ? second : "another";
}

async function testInSize(
  conversation: Conversation,
  wanted: WantedAccount,
  password: AccountPassword,
  size: 16 | 20,
): Promise<Seen["password"] | "other size"> {
  try {
    await sendPatiently(conversation, setUserPassword, passwordRequest(wanted, password, "test", size));
    return "the same";
  } catch (error) {
    if (!(error instanceof CompletionCodeError)) throw error;
    if (error.completionCode === 0x80) return "another";
    if (error.completionCode === 0x81) return "other size";
    if (isNotNow(error) && error.completionCode !== CompletionCode.unspecified) throw error;
    // No test operation: Supermicro H8QME.
    return "not told";
  }
}

/** What is not as wanted, for people; empty if all is. */
function wrongText({ access, password }: Seen, wanted: WantedAccount): string {
  if (access === undefined) return `its name "${wanted.userName}" is gone`;
  const { privilegeLimit, ipmiMessaging, callbackOnly } = access.access;
  const parts = [
    password === "another" ? "the BMC took the password but does not know it any more" : "",
    hasAccess(access, wanted)
      ? ""
      : `the rights on channel ${wanted.channel} do not stick: privilege ${privilegeLimit}, ` +
        `IPMI messaging ${ipmiMessaging ? "on" : "off"}${callbackOnly ? ", callback only" : ""}`,
    access.enabled.status === "disabled" ? "it was enabled, but the BMC says that it is disabled" : "",
  ];
  return parts.filter((part) => part !== "").join("; ");
}

async function repair(
  conversation: Conversation,
  wanted: WantedAccount,
  password: AccountPassword,
  seen: Seen,
): Promise<void> {
  if (!seen.named) await writeName(conversation, wanted);
  if (!seen.named || seen.password === "another") await sendPassword(conversation, wanted, password);
  const access = seen.access ?? (await readAccess(conversation, wanted));
  if (!hasAccess(access, wanted)) await writeAccess(conversation, wanted);
  if (access.enabled.status === "disabled") await enableWithPassword(conversation, wanted, password);
}

/** Dell R610 answers D5h where there is no password yet: on a BMC that cannot test it that is how its loss shows. */
async function enableWithPassword(
  conversation: Conversation,
  wanted: WantedAccount,
  password: AccountPassword,
): Promise<void> {
  try {
    await enable(conversation, wanted, password);
  } catch (error) {
    const isMissing =
      error instanceof CompletionCodeError && error.completionCode === CompletionCode.notSupportedInPresentState;
    if (!isMissing) throw error;
    await sendPassword(conversation, wanted, password);
    await enable(conversation, wanted, password);
  }
}
