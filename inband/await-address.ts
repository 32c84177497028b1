import { ipAddress, ipAddressSource } from "../ipmi/lan-parameters.ts";
import type { Conversation } from "./conversation.ts";
import type { Note } from "./note.ts";
import { readParameter } from "./read-parameter.ts";
import { isUsableIpv4 } from "./usable-address.ts";

const pauseMs = 2_000;

/** Channels that have no address and may yet get one, and the first that got it. */
export interface Awaited {
  /** Those that were waited for; none: all have a static address, or there is no time. */
  readonly channels: readonly number[];
  readonly got?: { readonly channel: number; readonly ipv4Address: string };
}

/**
 * Waits until one of the channels has an IPv4 address: a BMC that has just started is asked too early. Only a channel that
 * tells that its address is static is not waited for, and nothing is changed.
 * @param limitMs how long, in milliseconds
 * @throws TransportError, NotReadyError; the signal's reason if that ends the wait
 */
export async function awaitAddress(
  conversation: Conversation,
  channels: readonly number[],
  limitMs: number,
  note: Note,
): Promise<Awaited> {
  const { clock, signal } = conversation;
  const asking: number[] = [];
  for (const channel of channels) {
    const source = await readParameter(conversation, channel, ipAddressSource);
    if (!("value" in source && source.value === "static")) asking.push(channel);
  }
  if (asking.length === 0 || limitMs <= 0) return { channels: [] };
  note(`The BMC has no IP address yet: waiting up to ${limitMs / 1000} s for one.`);
  const startedAt = clock.now();
  while (clock.now() - startedAt + pauseMs <= limitMs) {
    await clock.sleep(pauseMs, signal);
    for (const channel of asking) {
      const read = await readParameter(conversation, channel, ipAddress);
      if ("value" in read && isUsableIpv4(read.value)) {
        return { channels: asking, got: { channel, ipv4Address: read.value } };
      }
    }
  }
  return { channels: asking };
}
