import { passwordRequest, setUserPassword } from "../../ipmi/commands/set-user-password.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import {
  type Conversation,
  InterruptedWriteError,
  isNotNow,
  NoAnswerError,
  persistent,
  sendPatiently,
} from "../conversation.ts";
import { refusalText } from "../read-parameter.ts";
import { AccountError, AccountRefusedError } from "./account-error.ts";
import { setPassword } from "./set-password.ts";
import { hasAccess, hasName, readAccess, tryReadingAccess, type UserAccess } from "./user-state.ts";
import type { AccountPassword, EscrowedPasswords, WantedAccount } from "./wanted-account.ts";
import { enable, sendPassword, writeAccess, writeName } from "./write-user.ts";

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

/** How often one write of a repair is sent if the BMC does not show its effect: one that loses every second write keeps it. */
const mostSends = 2;

/**
 * Proves the account as far as the machine itself can: Get User Name, the password by the test operation, Get User
 * Access; three commands. What a later write undid, or what the BMC acknowledged and lost (Supermicro H8QME), is written
 * again, and all is proved again. A password that the BMC takes again and again and still does not know is one that it
 * changes, or whose size it does not serve: another one follows, in the next form. A BMC that cannot test gets the
 * password a second time, and twice more if it is seen to lose writes: nothing else would tell that it was lost.
 * @throws AccountError if the BMC says otherwise; AccountRefusedError if it knows no password afterwards;
 *   CompletionCodeError, TransportError
 */
export async function proveAccount(
  conversation: Conversation,
  wanted: WantedAccount,
  passwords: EscrowedPasswords,
): Promise<ProvedAccount> {
  const findings: string[] = [];
  let sendings = 0;
  for (let repairs = 0; ; repairs += 1) {
    const seen = await look(conversation, wanted, passwords.current);
    if (seen.password === "not told" && seen.named) {
      for (const least = conversation.pace?.losesWrites ? 3 : 1; sendings < least; sendings += 1) {
        await sendPasswordAgain(conversation, wanted, passwords.current);
      }
    }
    const access = seen.named ? await tryReadingAccess(conversation, wanted) : undefined;
    const wrong = wrongText(wanted, seen, access);
    if (wrong === "") {
      if (access instanceof CompletionCodeError) findings.push(untoldText(wanted, access));
      return { proof: seen.password === "the same" ? "password tested" : "read back only", findings };
    }
    if (repairs === mostRepairs) throw new AccountError(`user ${wanted.slot}: ${wrong}`);
    findings.push(`The account was not as written, and was written again: ${wrong}`);
    conversation.pace?.writeWasLost();
    try {
      await repair(conversation, wanted, passwords, seen, access);
    } catch (error) {
      // It is looked at next anyway.
      if (!(error instanceof InterruptedWriteError)) throw error;
    }
  }
}

interface Seen {
  readonly named: boolean;
  readonly password: TestedPassword;
}

/** The code says that the BMC has another one, 80h, or that it has none of either size, 81h. */
type TestedPassword = "the same" | "not told" | CompletionCodeError;

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
): Promise<TestedPassword> {
  const { bytes, characters } = password.form;
  const answer = await testInSize(conversation, wanted, password, bytes);
  // Stored in the other size than it was sent: it is the password all the same.
  const other = bytes === 16 ? 20 : 16;
  if (!(answer instanceof CompletionCodeError) || answer.completionCode !== otherSize || characters > other)
    return answer;
  return (await testInSize(conversation, wanted, password, other)) === "the same" ? "the same" : answer;
}

/** Answers to the test operation, IPMI 2.0 §22.30. */
const another = 0x80;
const otherSize = 0x81;

/** The driver says so where no answer came. */
const lostAnswers: ReadonlySet<number> = new Set([CompletionCode.timeout, CompletionCode.unspecified]);

async function testInSize(
  conversation: Conversation,
  wanted: WantedAccount,
  password: AccountPassword,
  size: 16 | 20,
): Promise<TestedPassword> {
  const request = passwordRequest(wanted.slot, password.characters, "test", size);
  try {
    await sendPatiently(conversation, setUserPassword, request, persistent);
    return "the same";
  } catch (error) {
    // The BMC does not answer the test operation at all.
    if (error instanceof NoAnswerError) return "not told";
    if (!(error instanceof CompletionCodeError)) throw error;
    const { completionCode } = error;
    if (completionCode === another || completionCode === otherSize) return error;
    if (isNotNow(error) && !lostAnswers.has(completionCode)) throw error;
    // No test operation: Supermicro H8QME.
    return "not told";
  } finally {
    request.password.wipe();
  }
}

/**
 * What is not as wanted, for people; empty if all is, as far as it is told. Without a name some BMCs tell no rights.
 * @param access a code if the BMC refuses to tell the rights
 */
function wrongText(
  wanted: WantedAccount,
  { password }: Seen,
  access: UserAccess | CompletionCodeError | undefined,
): string {
  if (access === undefined) return `its name "${wanted.userName}" is gone`;
  const parts = [
    password instanceof CompletionCodeError ? "the BMC took the password but does not know it any more" : "",
    ...(access instanceof CompletionCodeError ? [] : wrongRights(wanted, access)),
  ];
  return parts.filter((part) => part !== "").join("; ");
}

function wrongRights(wanted: WantedAccount, access: UserAccess): string[] {
  const { privilegeLimit, ipmiMessaging, callbackOnly } = access.access;
  return [
    hasAccess(access, wanted)
      ? ""
      : `the rights on channel ${wanted.channel} do not stick: privilege ${privilegeLimit}, ` +
        `IPMI messaging ${ipmiMessaging ? "on" : "off"}${callbackOnly ? ", callback only" : ""}`,
    access.enabled.status === "disabled" ? "it was enabled, but the BMC says that it is disabled" : "",
  ];
}

function untoldText({ slot, channel }: WantedAccount, refused: CompletionCodeError): string {
  return (
    `The BMC does not tell the rights of user ID ${slot} on channel ${channel} (${refusalText(refused)}): ` +
    "only the login from remote shows whether they are as written."
  );
}

/** Writes what is not so, in the order in which an account is made. */
async function repair(
  conversation: Conversation,
  wanted: WantedAccount,
  passwords: EscrowedPasswords,
  before: Seen,
  accessBefore: UserAccess | CompletionCodeError | undefined,
): Promise<void> {
  if (!before.named) {
    await sendUntil(
      () => writeName(conversation, wanted),
      () => hasName(conversation, wanted),
    );
  }
  // With a name it may turn out that the password is there: some BMCs refuse to be given the same one again.
  const seen = before.named ? before : await look(conversation, wanted, passwords.current);
  if (!seen.named) return;
  if (seen.password instanceof CompletionCodeError) {
    await setKnownPassword(conversation, wanted, passwords, seen.password);
  }
  if (!before.named && seen.password === "not told") {
    await sendPasswordAgain(conversation, wanted, passwords.current);
  }
  const access = accessBefore ?? (await tryReadingAccess(conversation, wanted));
  if (access instanceof CompletionCodeError) return;
  const now = () => readAccess(conversation, wanted);
  if (!hasAccess(access, wanted)) {
    await sendUntil(
      () => writeAccess(conversation, wanted),
      async () => hasAccess(await now(), wanted),
    );
  }
  if (access.enabled.status === "disabled") {
    await sendUntil(
      () => enableWithPassword(conversation, wanted, passwords.current),
      async () => (await now()).enabled.status !== "disabled",
    );
  }
}

async function sendUntil(write: () => Promise<void>, isSo: () => Promise<boolean>): Promise<void> {
  for (let sends = 1; ; sends += 1) {
    await write();
    if (sends === mostSends || (await isSo())) return;
  }
}

/**
 * Sends the password again; if the BMC still has another one, it does not lose it but changes it or serves another size (a
 * BMC that cuts 20 characters to 16): then new ones in further forms, until it knows one.
 * @param failed how the test ended
 * @throws AccountRefusedError if enough were tried
 */
async function setKnownPassword(
  conversation: Conversation,
  wanted: WantedAccount,
  passwords: EscrowedPasswords,
  failed: CompletionCodeError,
): Promise<void> {
  let seen: TestedPassword = failed;
  for (;;) {
    for (let sends = 0; sends < mostSends && seen instanceof CompletionCodeError; sends += 1) {
      await sendUnlessRefused(conversation, wanted, passwords.current);
      seen = await testPassword(conversation, wanted, passwords.current);
    }
    if (!(seen instanceof CompletionCodeError)) return;
    if (!(await passwords.next(seen, conversation.signal))) {
      throw AccountRefusedError.ofPasswords(wanted.slot, passwords.triedText, seen);
    }
    await setPassword(conversation, wanted, passwords);
    seen = await testPassword(conversation, wanted, passwords.current);
  }
}

/** A password that was taken once and is refused now does not do: the test tells so. A busy BMC has decided nothing. */
async function sendUnlessRefused(
  conversation: Conversation,
  wanted: WantedAccount,
  password: AccountPassword,
): Promise<void> {
  try {
    await sendPassword(conversation, wanted, password);
  } catch (error) {
    if (!(error instanceof CompletionCodeError) || isNotNow(error)) throw error;
  }
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
