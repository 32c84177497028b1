import type { Command } from "../../ipmi/command.ts";
import { getChannelAccess } from "../../ipmi/commands/get-channel-access.ts";
import { getUserAccess } from "../../ipmi/commands/get-user-access.ts";
import { getUserName } from "../../ipmi/commands/get-user-name.ts";
import { setChannelAccess } from "../../ipmi/commands/set-channel-access.ts";
import { setUserAccess } from "../../ipmi/commands/set-user-access.ts";
import { setUserName } from "../../ipmi/commands/set-user-name.ts";
import { setUserPassword } from "../../ipmi/commands/set-user-password.ts";
import { setUserPayloadAccess } from "../../ipmi/commands/set-user-payload-access.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { type PrivilegeLevel, privilegeLevels } from "../../ipmi/privilege-level.ts";
import { Secret } from "../../ipmi/secret.ts";
import { type Conversation, isNotNow, sendPatiently } from "../conversation.ts";
import { isRefusal, refusalText } from "../read-parameter.ts";
import { throwIfLocked } from "./scan-accounts.ts";

/** The account as it is to be. */
export interface WantedAccount {
  /** LAN channel on which it gets access. */
  readonly channel: number;
  /** User ID. */
  readonly slot: number;
  readonly userName: string;
  /** ASCII, at most 16 bytes. The owner wipes it. */
  readonly password: Uint8Array;
  /** 4 is Administrator. */
  readonly privilege: number;
  /** The name that the slot has now; undefined if it is empty. */
  readonly replaces?: string;
}

/** What was done, for proving it. */
export interface AppliedAccount {
  /** In how many bytes the BMC keeps the password. */
  readonly passwordBytes: 16 | 20;
  /** What an operator should know, one sentence each. */
  readonly findings: readonly string[];
}

/** The BMC answered a step of the account's making in a way that cannot be right. */
export class AccountError extends Error {
  override readonly name = "AccountError";
  readonly code = "account";
}

/** The BMC does not take the name or the password. */
export class AccountRefusedError extends Error {
  override readonly name = "AccountRefusedError";
  readonly code = "account-refused";

  /** @param what "the name ..." or "the password" */
  constructor(slot: number, what: string, cause: CompletionCodeError) {
    super(
      `the BMC refuses ${what} for user ID ${slot}: ${cause.command}: ${refusalText(cause)}. ` +
        "That ID may be fixed, or the BMC's account policy asks for something else: change it or free another ID, then run again.",
      { cause },
    );
  }
}

/**
 * Makes the account, in the order that all known BMCs take: name, password, access, enable; what is so already is
 * skipped where the slot was ours before. Then the channel and SOL, as far as the BMC lets.
 * @throws InbandLockedError, AccountRefusedError, CompletionCodeError, TransportError
 */
export async function applyAccount(conversation: Conversation, wanted: WantedAccount): Promise<AppliedAccount> {
  try {
    const before = wanted.replaces === undefined ? undefined : await readAccess(conversation, wanted);
    if (wanted.replaces !== wanted.userName) await writeName(conversation, wanted);
    const passwordBytes = await writePassword(conversation, wanted);
    if (before === undefined || !hasAccess(before, wanted)) await writeAccess(conversation, wanted);
    if (before?.enabled.status !== "enabled") await enable(conversation, wanted);
    const findings = [...(await openChannel(conversation, wanted)), ...(await allowSol(conversation, wanted))];
    return { passwordBytes, findings };
  } catch (error) {
    throwIfLocked(error);
    throw error;
  }
}

type UserAccess = typeof getUserAccess extends Command<infer _, infer P> ? P : never;

/** The rights of the slot as they are now. */
export function readAccess(conversation: Conversation, { channel, slot }: WantedAccount): Promise<UserAccess> {
  return sendPatiently(conversation, getUserAccess, { channelNumber: channel, userId: slot });
}

/** Whether the account may use IPMI on the channel with the privilege that is wanted. */
export function hasAccess({ access }: UserAccess, wanted: WantedAccount): boolean {
  return access.ipmiMessaging && !access.callbackOnly && levelNumber(access.privilegeLimit) === wanted.privilege;
}

async function writeName(conversation: Conversation, { slot, userName }: WantedAccount): Promise<void> {
  try {
    await sendPatiently(conversation, setUserName, { userId: slot, userName });
  } catch (error) {
    throwIfLocked(error);
    if (!(error instanceof CompletionCodeError)) throw error;
    // Intel S5500WBV and Supermicro X12 refuse a name that the slot has got already, also when the first answer was lost.
    const now = await sendPatiently(conversation, getUserName, { userId: slot });
    if (now.userName !== userName) throw refused(error, slot, `the name "${userName}"`);
  }
}

async function writePassword(conversation: Conversation, wanted: WantedAccount): Promise<16 | 20> {
  try {
    await sendPassword(conversation, wanted, 16);
    return 16;
  } catch (error) {
    // Some boards take 20 bytes only: C7h by the specification, C8h on Supermicro X11. CCh is also what a password policy
    // answers, and then answers again.
    if (!(error instanceof CompletionCodeError)) throw error;
    if (!otherSize.has(error.completionCode)) throw refused(error, wanted.slot, "the password");
  }
  try {
    await sendPassword(conversation, wanted, 20);
    return 20;
  } catch (error) {
    throw error instanceof CompletionCodeError ? refused(error, wanted.slot, "the password") : error;
  }
}

/** A busy BMC has decided nothing, and a locked one does not look at the account. */
function refused(error: CompletionCodeError, slot: number, what: string): Error {
  const isLocked = error.completionCode === CompletionCode.insufficientPrivilege;
  return isLocked || isNotNow(error) ? error : new AccountRefusedError(slot, what, error);
}

const otherSize: ReadonlySet<number> = new Set([
  CompletionCode.requestLengthInvalid,
  CompletionCode.requestLengthLimitExceeded,
  CompletionCode.invalidDataField,
]);

async function sendPassword(conversation: Conversation, wanted: WantedAccount, size: 16 | 20): Promise<void> {
  await sendPatiently(conversation, setUserPassword, passwordRequest(wanted, "set", size));
}

/** The request to set or test the password in `size` bytes. */
export function passwordRequest({ slot, password }: WantedAccount, operation: "set" | "test", size: 16 | 20) {
  const filled = new Uint8Array(size);
  filled.set(password);
  const secret = Secret.fromBytes(filled);
  filled.fill(0);
  return { user: { twentyBytes: size === 20, id: slot }, action: { operation }, password: secret };
}

/** Gives the rights on the channel. */
export async function writeAccess(
  conversation: Conversation,
  { channel, slot, privilege }: WantedAccount,
): Promise<void> {
  await sendPatiently(conversation, setUserAccess, {
    access: {
      changeBits: true,
      callbackOnly: false,
      linkAuthentication: false,
      ipmiMessaging: true,
      channelNumber: channel,
    },
    userId: slot,
    privilegeLimit: privilege,
    sessionLimit: 0,
  });
}

async function enable(conversation: Conversation, wanted: WantedAccount): Promise<void> {
  const request = { user: { twentyBytes: false, id: wanted.slot }, action: { operation: "enable" as const } };
  const zeros = Secret.fromBytes(new Uint8Array(16));
  try {
    await sendPatiently(conversation, setUserPassword, { ...request, password: zeros });
  } catch (error) {
    if (!(error instanceof CompletionCodeError)) throw error;
    if (error.completionCode === CompletionCode.requestLengthInvalid) {
      await sendPatiently(conversation, setUserPassword, request);
      return;
    }
    // Lenovo XCC refuses to enable what is enabled.
    throwIfLocked(error);
    const { enabled } = await readAccess(conversation, wanted);
    if (enabled.status !== "enabled") throw error;
  }
}

/**
 * Always available, and no privilege limit below ours; only a difference is written, and only what differs is changed.
 * The copy in use is loaded from the stored one when the BMC starts, so if it is right no command is spent on the other.
 */
async function openChannel(conversation: Conversation, wanted: WantedAccount): Promise<string[]> {
  const inUse = await openCopy(conversation, wanted, "volatile");
  if (inUse === undefined) return [];
  const stored = await openCopy(conversation, wanted, "nonVolatile");
  return stored === undefined ? [inUse] : [inUse, stored];
}

/** What was done or could not be done, one sentence; undefined if the copy is as it should be. */
async function openCopy(
  conversation: Conversation,
  { channel, privilege }: WantedAccount,
  setting: "volatile" | "nonVolatile",
): Promise<string | undefined> {
  const copy = `Channel ${channel} (${setting === "volatile" ? "in use" : "stored"})`;
  try {
    const now = await sendPatiently(conversation, getChannelAccess, { channelNumber: channel, setting });
    const open = now.access.accessMode === "alwaysAvailable";
    const limited = levelNumber(now.privilegeLevelLimit) < privilege;
    if (open && !limited) return undefined;
    await sendPatiently(conversation, setChannelAccess, {
      channelNumber: channel,
      access: { ...now.access, setting: open ? "doNotSet" : setting, accessMode: "alwaysAvailable" },
      privilegeLevelLimit: { setting: limited ? setting : "doNotSet", limit: privilege },
    });
    return `${copy} was opened to privilege ${privilege} at all times.`;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return `${copy} was left as it is: ${refusalText(error)}`;
  }
}

/** Many BMCs do not know the command and allow SOL to every administrator. */
async function allowSol(conversation: Conversation, { channel, slot }: WantedAccount): Promise<string[]> {
  try {
    await sendPatiently(conversation, setUserPayloadAccess, {
      channelNumber: channel,
      user: { operation: "enable", id: slot },
      standardPayloads: { sol: true, payloads2to7: 0 },
      oemPayloads: 0,
    });
    return [];
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return [`Serial over LAN was not enabled for the account: ${refusalText(error)}`];
  }
}

function levelNumber(level: PrivilegeLevel): number {
  return typeof level === "number" ? level : privilegeLevels[level];
}
