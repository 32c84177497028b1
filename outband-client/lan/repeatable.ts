import { allCommands } from "../../ipmi/commands/index.ts";
import type { Message } from "../../ipmi/transport.ts";

const key = (message: Pick<Message, "netFn" | "cmd">) => message.netFn * 0x100 + message.cmd;

const declared = new Set(allCommands.filter((each) => each.repeatable).map(key));

/**
 * Whether a request may be retransmitted: only if `ipmi/` declares its command as repeatable.
 *
 * A datagram gets lost without a word, so a retransmission may reach a BMC that has executed the command and whose answer
 * was lost. The specification makes a BMC drop a session sequence number that comes twice, but not all do (pyghmi's BMC
 * class does not look at it), so repeating the same bytes is no protection against a second power cycle. Hence: a
 * repeatable request is sent again under a new session sequence number, so that a BMC which lost only its answer answers
 * again, with the same request sequence number, so that either answer is taken; any other, commands not declared
 * (OEM) included, is sent once and waited for just as long.
 */
export function isRepeatable(message: Message): boolean {
  return declared.has(key(message));
}
