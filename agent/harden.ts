import type { Conversation } from "../inband/conversation.ts";
import { closeWeakLogins } from "../inband/weak-logins.ts";
import type { BmcFacts } from "../proto/gen/metalstack/bmc/v1/bmc.ts";

/**
 * Switches off the logins that need no good password (the key `harden`), best effort: what cannot be changed is told, and
 * the account works without it.
 * @param facts of the BMC as they were reported
 * @returns the facts with what was found and done, one sentence each; undefined if there was nothing to do
 */
export async function harden(conversation: Conversation, facts: BmcFacts): Promise<BmcFacts | undefined> {
  let findings: readonly string[];
  try {
    findings = await closeWeakLogins(conversation, facts.channel);
  } catch (error) {
    conversation.signal.throwIfAborted();
    findings = [`Weak logins were not looked for: ${error instanceof Error ? error.message : String(error)}`];
  }
  return findings.length === 0 ? undefined : { ...facts, findings: [...facts.findings, ...findings] };
}
