import { setUserName } from "../../ipmi/commands/set-user-name.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { type Conversation, InterruptedWriteError, isNotNow, NoAnswerError, sendPatiently } from "../conversation.ts";
import { isRefusal, refusalText } from "../read-parameter.ts";
import type { FormerAccount } from "./plan-account.ts";
import { readSlot } from "./scan-accounts.ts";
import { isChangedName, levelNumber, tryReadingAccess } from "./user-state.ts";
import { sendAccess, switchUser } from "./write-user.ts";

/** A BMC may lose a write, or restart over it. */
const mostSends = 2;

/** Privilege "no access". IPMI 2.0 §22.26. */
const noAccess = 15;

/** Why something of a retirement was not done. */
interface Problem {
  readonly problem: string;
  /** Whether another run may well do it: the BMC was busy, did not answer, or broke off. */
  readonly mayPass: boolean;
  /** Whose account it is could not be read: then nothing is written there. */
  readonly isUnread?: true;
}

/** How the slot is now: as wanted; not ours any more, then nothing is written there. */
type Progress = "done" | "not ours" | Problem;

/** What became of a retirement. */
export interface Retired {
  /** What was done and what could not be, one sentence. */
  readonly text: string;
  /** Whether something is left that another run may well do. */
  readonly mayPass: boolean;
  /** Whether the account was found in its slot, or may be there. */
  readonly isThere: boolean;
}

const withoutName = "without a name";

/** One write of a retirement. */
interface Change {
  /** "disabled" */
  readonly wanted: string;
  /** @param written whether the BMC has answered a write with 00h */
  readonly isSo: (written: boolean) => Promise<boolean>;
  readonly write: () => Promise<unknown>;
}

/**
 * Closes an account of ours that nobody needs any more: disables it, takes its rights on the channel and its name, as far
 * as the BMC lets. Right before each write its name is read again: whatever else is in the slot by then is left alone.
 * It keeps its name unless it is disabled and without rights: an open slot without a name is nobody's to use, not even ours.
 * @param called what the account is to the reader of the sentence
 * @throws NotReadyError, TransportError
 */
export async function retireAccount(
  conversation: Conversation,
  channel: number,
  former: FormerAccount,
  called = "a former account of ours",
): Promise<Retired> {
  const { slot, userName } = former;
  const changes = changesOf(conversation, channel, slot);
  const account = `User ID ${slot}, "${userName}", ${called}`;
  const gone = {
    text: `${account}, is not there any more: that user ID was left alone.`,
    mayPass: false,
    isThere: false,
  };
  const first = await whoIsThere(conversation, former);
  if (first === "not ours") return gone;
  if (first !== "ours") return { text: `${account}: ${unread(first)}.`, mayPass: first.mayPass, isThere: true };
  const done: string[] = [];
  const problems: string[] = [];
  let mayPass = false;
  for (const change of changes) {
    if (change.wanted === withoutName && problems.length > 0) break;
    const progress = await make(conversation, former, change);
    if (progress === "not ours") {
      if (done.length === 0) return gone;
      break;
    }
    if (progress === "done") {
      done.push(change.wanted);
      continue;
    }
    mayPass ||= progress.mayPass;
    if (progress.isUnread === true) {
      problems.push(unread(progress));
      break;
    }
    problems.push(`not ${change.wanted} (${progress.problem})`);
  }
  return { text: `${account}: ${[...done, ...problems].join(", ")}.`, mayPass, isThere: true };
}

function unread({ problem }: Problem): string {
  return `its name could not be read (${problem}), so it was left alone and may still be open`;
}

function changesOf(conversation: Conversation, channel: number, slot: number): readonly Change[] {
  const access = async () => {
    const told = await tryReadingAccess(conversation, { channel, slot });
    return told instanceof CompletionCodeError ? undefined : told;
  };
  return [
    {
      wanted: "disabled",
      isSo: async (written) => {
        const status = (await access())?.enabled.status;
        // Older BMCs do not tell.
        return status === "disabled" || (written && status === "unspecified");
      },
      write: () => switchUser(conversation, { channel, slot }, "disable"),
    },
    {
      wanted: "without rights",
      isSo: async () => {
        const rights = (await access())?.access;
        return rights?.ipmiMessaging === false && [0, noAccess].includes(levelNumber(rights.privilegeLimit));
      },
      write: () =>
        sendAccess(conversation, { channel, slot }, { changeBits: true, ipmiMessaging: false, privilege: noAccess }),
    },
    {
      wanted: withoutName,
      isSo: async () => {
        const now = await readSlot(conversation, slot);
        return now !== "no such ID" && now.state === "empty";
      },
      write: () => sendPatiently(conversation, setUserName, { userId: slot, userName: "" }),
    },
  ];
}

async function make(conversation: Conversation, former: FormerAccount, change: Change): Promise<Progress> {
  let problem: Problem = { problem: "the BMC does not keep it", mayPass: false };
  let written = false;
  for (let sends = 0; ; sends += 1) {
    try {
      if (await change.isSo(written)) return "done";
      if (sends === mostSends) return problem;
      const there = await whoIsThere(conversation, former);
      if (there !== "ours") return there;
      await change.write();
      written = true;
    } catch (error) {
      if (!isRefusal(error) && !(error instanceof InterruptedWriteError)) throw error;
      const mayPass = isNotNow(error) || error instanceof NoAnswerError || error instanceof InterruptedWriteError;
      problem = { problem: isRefusal(error) ? refusalText(error) : error.message, mayPass };
      if (sends === mostSends) return problem;
    }
  }
}

async function whoIsThere(
  conversation: Conversation,
  { slot, userName }: FormerAccount,
): Promise<"ours" | "not ours" | Problem> {
  const now = await readSlot(conversation, slot);
  if (now === "no such ID" || now.state === "empty") return "not ours";
  if (now.state === "unreadable") return { problem: now.reason, mayPass: now.mayPass === true, isUnread: true };
  return now.name === userName || isChangedName(now.name, userName) ? "ours" : "not ours";
}
