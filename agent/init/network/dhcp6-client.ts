import type { Clock } from "../../../inband/clock.ts";
import { type Dhcp6Reply, type Dhcp6Request, decodeDhcp6, dhcp6Type, encodeDhcp6 } from "./dhcp6-message.ts";

/** A way to the DHCPv6 servers of one link. */
export interface Dhcp6Link {
  /** Sends to all servers and relays of the link (ff02::1:2, port 547). */
  send(message: Uint8Array): void;
  /** The next message for a client; undefined when there was none for `waitMs` milliseconds. */
  receive(waitMs: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
  close(): void;
}

export interface Dhcp6Options {
  readonly mac: Uint8Array;
  readonly clock: Clock;
  /** 0 to 1, 1 excluded. */
  readonly random: () => number;
  /** One line for people. */
  readonly note: (text: string) => void;
}

/** First waits for an answer, and the longest. RFC 8415 §7.6 allows an hour; a machine that boots asks sooner. */
const firstWaitMs = 1_000;
const longestWaitMs = 16_000;
const requestTries = 4;

/**
 * Gets an address: solicit, advertise, request, reply. Of the servers that answer within the first wait the one with the highest
 * preference is asked. Tries until the signal ends it. RFC 8415 §18.2.1, §18.2.2, §18.2.9.
 */
export async function acquireAddress6(
  link: Dhcp6Link,
  options: Dhcp6Options,
  signal: AbortSignal,
): Promise<Dhcp6Reply & { readonly address: string }> {
  const { clock, note } = options;
  const startedAt = clock.now();
  for (let attempt = 1, waitMs = firstWaitMs; ; attempt++, waitMs = Math.min(2 * waitMs, longestWaitMs)) {
    signal.throwIfAborted();
    const begin = { type: dhcp6Type.solicit, address: "any" };
    const offers = await exchange(link, options, begin, startedAt, waitMs, signal, attempt === 1);
    const best = offers.filter(hasAddress).sort((a, b) => b.preference - a.preference)[0];
    if (best !== undefined) {
      const granted = await request(link, options, best, startedAt, signal);
      if (granted !== undefined) return granted;
      await clock.sleep(jittered(firstWaitMs, options.random), signal);
      continue;
    }
    const refusal = offers.find((each) => each.refusal !== undefined)?.refusal;
    if (refusal !== undefined) note(`the DHCPv6 server has no address: ${refusal}`);
    else if (attempt > 1) note(`no DHCPv6 answer after ${attempt} tries, trying on`);
  }
}

const hasAddress = (reply: Dhcp6Reply): reply is Dhcp6Reply & { readonly address: string } =>
  reply.address !== undefined;

async function request(
  link: Dhcp6Link,
  options: Dhcp6Options,
  { server, address }: Dhcp6Reply & { readonly address: string },
  startedAt: number,
  signal: AbortSignal,
): Promise<(Dhcp6Reply & { readonly address: string }) | undefined> {
  const asked = { type: dhcp6Type.request, server, address };
  for (let attempt = 0; attempt < requestTries; attempt++) {
    const [reply] = await exchange(link, options, asked, startedAt, firstWaitMs * 2 ** attempt, signal);
    if (reply === undefined) continue;
    if (hasAddress(reply)) return reply;
    options.note(`the DHCPv6 server refuses ${address}${reply.refusal === undefined ? "" : `: ${reply.refusal}`}`);
    return undefined;
  }
  options.note(`the DHCPv6 server offered ${address} and then did not answer`);
  return undefined;
}

/** Asks for DNS servers only. RFC 8415 §18.2.6. Undefined: nobody answered within `limitMs`. */
export async function askInformation6(
  link: Dhcp6Link,
  options: Dhcp6Options,
  limitMs: number,
  signal: AbortSignal,
): Promise<Dhcp6Reply | undefined> {
  const startedAt = options.clock.now();
  for (
    let waitMs = firstWaitMs;
    options.clock.now() - startedAt < limitMs;
    waitMs = Math.min(2 * waitMs, longestWaitMs)
  ) {
    const asked = { type: dhcp6Type.informationRequest };
    const [reply] = await exchange(link, options, asked, startedAt, waitMs, signal);
    if (reply !== undefined) return reply;
  }
  return undefined;
}

/**
 * Asks once to go on using an address: its server (`renew`), or any (`rebind`). RFC 8415 §18.2.4, §18.2.5.
 * Undefined: no answer, or none that allows it.
 */
export async function renewAddress6(
  link: Dhcp6Link,
  options: Dhcp6Options,
  held: { readonly address: string; readonly server: Uint8Array },
  type: "renew" | "rebind",
  signal: AbortSignal,
): Promise<(Dhcp6Reply & { readonly address: string }) | undefined> {
  const server = type === "renew" ? held.server : undefined;
  const asked = { type: dhcp6Type[type], server, address: held.address };
  const [reply] = await exchange(link, options, asked, options.clock.now(), 10 * firstWaitMs, signal);
  return reply !== undefined && hasAddress(reply) && reply.address === held.address ? reply : undefined;
}

/** Sends once and waits. The first answer that fits, or all of the wait unless one has the highest preference. */
async function exchange(
  link: Dhcp6Link,
  { mac, clock, random }: Dhcp6Options,
  message: Pick<Dhcp6Request, "type" | "server" | "address">,
  startedAt: number,
  waitMs: number,
  signal: AbortSignal,
  collects = false,
): Promise<Dhcp6Reply[]> {
  const transaction = Math.floor(random() * 0x100_0000);
  const elapsed = Math.floor((clock.now() - startedAt) / 10);
  link.send(encodeDhcp6({ ...message, transaction, mac, elapsed }));
  const wanted = message.type === dhcp6Type.solicit ? dhcp6Type.advertise : dhcp6Type.reply;
  const replies: Dhcp6Reply[] = [];
  const until = clock.now() + jittered(waitMs, random);
  for (let left = until - clock.now(); left > 0; left = until - clock.now()) {
    const bytes = await link.receive(left, signal);
    const reply = bytes && decodeDhcp6(bytes, mac);
    if (reply === undefined || reply.type !== wanted || reply.transaction !== transaction) continue;
    if (message.server !== undefined && !Buffer.from(message.server).equals(reply.server)) continue;
    replies.push(reply);
    const best = 255;
    if (!collects || reply.preference === best) break;
  }
  return replies;
}

/** ±10 %. RFC 8415 §15. */
export const jittered = (ms: number, random: () => number): number => ms * (0.9 + 0.2 * random());
