import { setUserPassword } from "../../ipmi/commands/set-user-password.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { type Conversation, InterruptedWriteError, isNotNow, sendPatiently } from "../conversation.ts";
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

/** A BMC that loses writes can lose a repair too; more than three would hammer it. */
const mostRepairs = 3;

/**
 * Proves the account as far as the machine itself can: Get User Name, the password by the test operation, Get User
 * Access; three commands. What a later write undid, or what the BMC acknowledged and lost (Supermicro H8QME), is written
 * again, and all is proved again. A BMC that cannot test gets the password a second time: nothing else would tell that
 * it was lost.
 * @throws AccountError if the BMC says otherwise; CompletionCodeError, TransportError
 */
export async function proveAccount(
  conversation: Conversation,
  wanted: WantedAccount,
  password: AccountPassword,
): Promise<ProvedAccount> {
  const findings: string[] = [];
  let sentAgain = false;
  for (let repairs = 0; ; repairs += 1) {
    const seen = await look(conversation, wanted, password);
    if (seen.password === "not told" && seen.named && !sentAgain) {
      sentAgain = true;
      await sendPasswordAgain(conversation, wanted, password);
    }
    const access = seen.named ? await readAccess(conversation, wanted) : undefined;
    const wrong = wrongText(wanted, seen, access);
    if (wrong === "") return { proof: seen.password === "the same" ? "password tested" : "read back only", findings };
    if (repairs === mostRepairs) throw new AccountError(`user ${wanted.slot}: ${wrong}`);
    findings.push(`The account was not as written, and was written again: ${wrong}`);
    conversation.pace?.writeWasLost();
    try {
      await repair(conversation, wanted, password, seen, access);
    } catch (error) {
      // It is looked at next anyway.
      if (!(error instanceof InterruptedWriteError)) throw error;
    }
  }
}

interface Seen {
  readonly named: boolean;
  readonly password: "the same" | "another" | "not told";
}

async function look(conversation: Conversation, wanted: WantedAccount, password: AccountPassword): Promise<Seen> {
  if (!(await hasName(conversation, wanted))) return { named: false, password: "not told" };
  return { named: true, password: await testPassword(conversation, wanted, password) };
}

/** A refusal is no harm: some BMCs refuse the password that a user has already. A write that broke off is sent once more. */
async function sendPasswordAgain(
  conversation: Conversation,
  wanted: WantedAccount,
  password: AccountPassword,
): Promise<void> {
  for (let again = true; ; again = false) {
    try {
      await sendPassword(conversation, wanted, password);
      return;
    } catch (error) {
      if (error instanceof CompletionCodeError) return;
      if (!(again && error instanceof InterruptedWriteError)) throw error;
    }
  }
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

/** What is not as wanted, for people; empty if all is. Without a name some BMCs tell no rights. */
function wrongText(wanted: WantedAccount, { password }: Seen, access: UserAccess | undefined): string {
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

/** Writes what is not so, in the order in which an account is made. */
async function repair(
  conversation: Conversation,
  wanted: WantedAccount,
  password: AccountPassword,
  before: Seen,
  accessBefore: UserAccess | undefined,
): Promise<void> {
  if (!before.named) await writeName(conversation, wanted);
  // With a name it may turn out that the password is there: some BMCs refuse to be given the same one again.
  const seen = before.named ? before : await look(conversation, wanted, password);
  if (!seen.named) return;
  if (seen.password === "another") await sendPassword(conversation, wanted, password);
  if (!before.named && seen.password === "not told") await sendPasswordAgain(conversation, wanted, password);
  const access = accessBefore ?? (await readAccess(conversation, wanted));
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
    await enable(conversation, wanted);
  } catch (error) {
    const isMissing =
      error instanceof CompletionCodeError && error.completionCode === CompletionCode.notSupportedInPresentState;
    if (!isMissing) throw error;
    await sendPassword(conversation, wanted, password);
    await enable(conversation, wanted);
  }
}
