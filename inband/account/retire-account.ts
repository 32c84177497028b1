import { setUserName } from "../../ipmi/commands/set-user-name.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { type Conversation, InterruptedWriteError, sendPatiently } from "../conversation.ts";
import { isRefusal, refusalText } from "../read-parameter.ts";
import type { FormerAccount } from "./plan-account.ts";
import { readSlot } from "./scan-accounts.ts";
import { isChangedName, levelNumber, tryReadingAccess } from "./user-state.ts";
import { sendAccess, switchUser } from "./write-user.ts";

/** A BMC may lose a write, or restart over it. */
const mostSends = 2;

/** Privilege "no access". IPMI 2.0 §22.26. */
const noAccess = 15;

/** How the slot is now: still as wanted; not ours any more, then nothing is written there. */
type Progress = "done" | "not ours" | { readonly problem: string };

const withoutRights = "without rights";

/** One write of a retirement. */
interface Change {
  /** "disabled" */
  readonly wanted: string;
  readonly isSo: () => Promise<boolean>;
  readonly write: () => Promise<unknown>;
}

/**
 * Closes an account of ours that nobody needs any more: disables it, takes its rights on the channel and its name, as far
 * as the BMC lets. Right before each write its name is read again: whatever else is in the slot by then is left alone.
 * Without its rights taken it keeps its name: a slot that has rights and no name is nobody's to use, not even ours.
 * @returns what was done and what could not be, one sentence
 * @throws NotReadyError, TransportError
 */
export async function retireAccount(
  conversation: Conversation,
  channel: number,
  former: FormerAccount,
): Promise<string> {
  const { slot, userName } = former;
  const changes = changesOf(conversation, channel, slot);
  const account = `User ID ${slot}, "${userName}", a former account of ours`;
  const done: string[] = [];
  const problems: string[] = [];
  for (const change of changes) {
    const progress = await make(conversation, former, change);
    if (progress === "not ours") {
      if (done.length === 0) return `${account}, is not there any more: that user ID was left alone.`;
      break;
    }
    if (progress === "done") done.push(change.wanted);
    else {
      problems.push(`not ${change.wanted} (${progress.problem})`);
      if (change.wanted === withoutRights) break;
    }
  }
  return `${account}: ${[...done, ...problems].join(", ")}.`;
}

function changesOf(conversation: Conversation, channel: number, slot: number): readonly Change[] {
  const access = async () => {
    const told = await tryReadingAccess(conversation, { channel, slot });
    return told instanceof CompletionCodeError ? undefined : told;
  };
  return [
    {
      wanted: "disabled",
      isSo: async () => (await access())?.enabled.status === "disabled",
      write: () => switchUser(conversation, { channel, slot }, "disable"),
    },
    {
      wanted: withoutRights,
      isSo: async () => {
        const rights = (await access())?.access;
        return rights?.ipmiMessaging === false && [0, noAccess].includes(levelNumber(rights.privilegeLimit));
      },
      write: () =>
        sendAccess(conversation, { channel, slot }, { changeBits: true, ipmiMessaging: false, privilege: noAccess }),
    },
    {
      wanted: "without a name",
      isSo: async () => {
        const now = await readSlot(conversation, slot);
        return now !== "no such ID" && now.state === "empty";
      },
      write: () => sendPatiently(conversation, setUserName, { userId: slot, userName: "" }),
    },
  ];
}

async function make(conversation: Conversation, former: FormerAccount, change: Change): Promise<Progress> {
  let problem = "the BMC does not keep it";
  for (let sends = 0; ; sends += 1) {
    try {
      if (await change.isSo()) return "done";
      if (sends === mostSends) return { problem };
      if (!(await isThere(conversation, former))) return "not ours";
      await change.write();
    } catch (error) {
      if (!isRefusal(error) && !(error instanceof InterruptedWriteError)) throw error;
      problem = isRefusal(error) ? refusalText(error) : error.message;
      if (sends === mostSends) return { problem };
    }
  }
}

async function isThere(conversation: Conversation, { slot, userName }: FormerAccount): Promise<boolean> {
  const now = await readSlot(conversation, slot);
  if (now === "no such ID" || now.state !== "named") return false;
  return now.name === userName || isChangedName(now.name, userName);
}
