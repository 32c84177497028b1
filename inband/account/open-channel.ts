import { getChannelAccess } from "../../ipmi/commands/get-channel-access.ts";
import { setChannelAccess } from "../../ipmi/commands/set-channel-access.ts";
import { setUserPayloadAccess } from "../../ipmi/commands/set-user-payload-access.ts";
import { type Conversation, InterruptedWriteError, sendPatiently } from "../conversation.ts";
import { isRefusal, refusalText } from "../read-parameter.ts";
import { levelNumber } from "./user-state.ts";
import type { WantedAccount } from "./wanted-account.ts";

/**
 * Always available, and no privilege limit below ours; only a difference is written, and only what differs is changed.
 * The copy in use is loaded from the stored one when the BMC starts, so if it is right no command is spent on the other.
 */
export async function openChannel(conversation: Conversation, wanted: WantedAccount): Promise<string[]> {
  const inUse = await openCopy(conversation, wanted, "volatile");
  if (inUse === undefined) return [];
  const stored = await openCopy(conversation, wanted, "nonVolatile");
  return stored === undefined ? [inUse] : [inUse, stored];
}

/** A write may break off, and it may get lost. */
const mostWrites = 2;

/** What was done or could not be done, one sentence; undefined if the copy is as it should be. What was written is read back. */
async function openCopy(
  conversation: Conversation,
  wanted: WantedAccount,
  setting: "volatile" | "nonVolatile",
): Promise<string | undefined> {
  const { channel, privilege } = wanted;
  const copy = `Channel ${channel} (${setting === "volatile" ? "in use" : "stored"})`;
  for (let writes = 0; ; writes += 1) {
    try {
      const now = await sendPatiently(conversation, getChannelAccess, { channelNumber: channel, setting });
      const open = now.access.accessMode === "alwaysAvailable";
      const limited = levelNumber(now.privilegeLevelLimit) < privilege;
      if (open && !limited) {
        return writes === 0 ? undefined : `${copy} was opened to privilege ${privilege} at all times.`;
      }
      if (writes === mostWrites) return `${copy} was left as it is: the BMC does not keep what is written to it.`;
      if (writes > 0) conversation.pace?.writeWasLost();
      await sendPatiently(conversation, setChannelAccess, {
        channelNumber: channel,
        access: { ...now.access, setting: open ? "doNotSet" : setting, accessMode: "alwaysAvailable" },
        privilegeLevelLimit: { setting: limited ? setting : "doNotSet", limit: privilege },
      });
    } catch (error) {
      // The BMC restarted over it: whether it was written is looked at.
      const brokeOff = error instanceof InterruptedWriteError;
      if (brokeOff && writes + 1 < mostWrites) continue;
      if (!brokeOff && !isRefusal(error)) throw error;
      const why = brokeOff ? error.message : refusalText(error);
      return `${copy} ${writes === 0 ? "was left as it is" : "was to be opened, but may not be"}: ${why}`;
    }
  }
}

/** Many BMCs do not know the command and allow SOL to every administrator. */
export async function allowSol(conversation: Conversation, { channel, slot }: WantedAccount): Promise<string[]> {
  const send = () =>
    sendPatiently(conversation, setUserPayloadAccess, {
      channelNumber: channel,
      user: { operation: "enable", id: slot },
      standardPayloads: { sol: true, payloads2to7: 0 },
      oemPayloads: 0,
    });
  for (let again = true; ; again = false) {
    try {
      await send();
      return [];
    } catch (error) {
      const brokeOff = error instanceof InterruptedWriteError;
      if (brokeOff && again) continue;
      if (!brokeOff && !isRefusal(error)) throw error;
      return [`Serial over LAN was not enabled for the account: ${brokeOff ? error.message : refusalText(error)}`];
    }
  }
}
