import type { Conversation } from "../inband/conversation.ts";
import { closeWeakLogins } from "../inband/weak-logins.ts";

/**
 * Switches off the logins that need no good password (the key `harden`), best effort: what cannot be changed is told, and
 * the account works without it.
 * @returns what was found and done, one sentence each
 */
export async function harden(conversation: Conversation, channel: number): Promise<readonly string[]> {
  try {
    return await closeWeakLogins(conversation, channel);
  } catch (error) {
    conversation.signal.throwIfAborted();
    return [`Weak logins were not looked for: ${error instanceof Error ? error.message : String(error)}`];
  }
}
