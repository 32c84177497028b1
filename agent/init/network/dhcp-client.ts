import type { Clock } from "../../../inband/clock.ts";
import { type DhcpReply, decodeReply, encodeRequest, messageType, type Route } from "./dhcp-message.ts";
import { classPrefixLength, prefixLengthOf } from "./ip-parameter.ts";

/** A way to DHCP servers on one link. */
export interface DhcpLink {
  /** Sends to a server, or to all. */
  send(message: Uint8Array, to: string | "broadcast"): void;
  /** The next message for a DHCP client; undefined when there was none for `waitMs` milliseconds. */
  receive(waitMs: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
  close(): void;
}

export interface Lease {
  readonly address: string;
  /** 0 to 32 */
  readonly prefixLength: number;
  readonly server: string;
  readonly routes: readonly Route[];
  readonly dns: readonly string[];
  readonly domain: string | undefined;
  readonly search: readonly string[];
  readonly hostName: string | undefined;
  readonly mtu: number | undefined;
  /** Seconds from `boundAt`; Infinity for a lease without end. RFC 2131 §4.4.5. */
  readonly leaseSeconds: number;
  readonly renewalSeconds: number;
  readonly rebindingSeconds: number;
  /** When the request that was granted left, on the clock of the client, in milliseconds. */
  readonly boundAt: number;
}

export interface DhcpClientOptions {
  readonly mac: Uint8Array;
  readonly clock: Clock;
  /** 0 to 1, 1 excluded. */
  readonly random: () => number;
  /** One line for people: retries, refusals. */
  readonly note: (text: string) => void;
  /** Told besides: what a server answered that is no lease. */
  readonly heard?: (text: string) => void;
  /** Whether this machine can do without IPv4. */
  readonly acceptsIpv6Only?: boolean;
}

/** The network asks this machine to do without IPv4. RFC 8925. */
export class Ipv6OnlyError extends Error {
  override readonly name = "Ipv6OnlyError";
  readonly code = "ipv6-only";
}

/** First wait for an answer and the longest one. RFC 2131 §4.1 asks for 4 s and 64 s; a booting machine asks sooner. */
const firstWaitMs = 1_000;
const longestWaitMs = 16_000;
const requestTries = 4;
/** RFC 2131 §4.4.5: a renewal is not repeated more often than this. */
const shortestRenewalWaitMs = 60_000;

/**
 * Gets a lease: discover, offer, request, ack. The first server that offers is asked; one that refused, or fell silent after its
 * offer, only if no other one offers. Late offers count: all questions are one transaction until a server was asked.
 * Tries until the signal ends it. Does not probe by ARP whether somebody else uses the address.
 * @throws Ipv6OnlyError if the network asks for that and the options allow it
 */
export async function acquireLease(link: DhcpLink, options: DhcpClientOptions, signal: AbortSignal): Promise<Lease> {
  const { mac, clock, random, note, acceptsIpv6Only = false } = options;
  const startedAt = clock.now();
  const seconds = () => Math.floor((clock.now() - startedAt) / 1000);
  const disappointing = new Set<string>();
  let waitMs = firstWaitMs;
  let transaction = newTransaction(random);
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const type = messageType.discover;
    link.send(encodeRequest({ type, transaction, seconds: seconds(), mac, acceptsIpv6Only }), "broadcast");
    const wait = jittered(waitMs, random);
    waitMs = Math.min(waitMs * 2, longestWaitMs);
    const offer = await waitForOffer(link, options, transaction, wait, signal, disappointing);
    if (!offer?.server) {
      if (attempt > 1) note(`no DHCP offer after ${attempt} tries (${seconds()} s), trying on`);
      continue;
    }
    if (acceptsIpv6Only && offer.ipv6OnlyPreferred) {
      throw new Ipv6OnlyError(`DHCP server ${offer.server} asks machines to do without IPv4`);
    }
    const granted = await request(link, options, transaction, offer, seconds, signal);
    if (granted) return granted;
    disappointing.add(offer.server);
    transaction = newTransaction(random);
    await clock.sleep(jittered(firstWaitMs, random), signal);
  }
}

const newTransaction = (random: () => number): number => Math.floor(random() * 0x1_0000_0000);

/** The first offer; one of a server that disappointed before only when the wait is over. */
async function waitForOffer(
  link: DhcpLink,
  options: DhcpClientOptions,
  transaction: number,
  waitMs: number,
  signal: AbortSignal,
  disappointing: ReadonlySet<string>,
): Promise<DhcpReply | undefined> {
  let second: DhcpReply | undefined;
  const first = await waitFor(link, options, transaction, waitMs, signal, (reply) => {
    if (reply.type !== messageType.offer) return false;
    if (reply.server === undefined || !disappointing.has(reply.server)) return true;
    second ??= reply;
    return false;
  });
  return first ?? second;
}

async function request(
  link: DhcpLink,
  options: DhcpClientOptions,
  transaction: number,
  offer: DhcpReply,
  seconds: () => number,
  signal: AbortSignal,
): Promise<Lease | undefined> {
  const { mac, clock, random } = options;
  const server = offer.server ?? "";
  const tell = (text: string): void => {
    options.note(text);
    options.heard?.(text);
  };
  // that of another server is about an address which nobody asked for
  const isItsDecision = (reply: DhcpReply) =>
    isDecision(reply) && (reply.server === undefined || reply.server === server);
  for (let attempt = 0; attempt < requestTries; attempt++) {
    const askedAt = clock.now();
    const message = { type: messageType.request, transaction, seconds: seconds(), mac } as const;
    link.send(encodeRequest({ ...message, requestedAddress: offer.address, server }), "broadcast");
    const wait = jittered(firstWaitMs * 2 ** attempt, random);
    const reply = await waitFor(link, options, transaction, wait, signal, isItsDecision);
    if (reply?.type === messageType.nak) {
      tell(`DHCP server ${server} refuses ${offer.address}${reply.message ? `: ${reply.message}` : ""}`);
      return undefined;
    }
    if (reply) return leaseOf(reply, server, askedAt);
  }
  tell(`DHCP server ${server} offered ${offer.address} and then did not answer`);
  return undefined;
}

const isDecision = ({ type }: DhcpReply): boolean => type === messageType.ack || type === messageType.nak;

export interface KeepLeaseOptions extends DhcpClientOptions {
  /** A link for talking to one server with our address; closed after each exchange. */
  readonly openUnicast: (address: string) => Promise<DhcpLink>;
  readonly openBroadcast: () => DhcpLink;
  readonly onRenewed: (lease: Lease) => void;
}

/**
 * Keeps a lease: renews with its server from T1 on, with any server from T2 on. Returns when the lease has expired or was
 * refused: the address must not be used any more, and the client begins anew. A lease without end: waits for the signal.
 */
export async function keepLease(first: Lease, options: KeepLeaseOptions, signal: AbortSignal): Promise<void> {
  const { clock, random, mac } = options;
  let lease = first;
  for (;;) {
    const at = (seconds: number): number => lease.boundAt + seconds * 1000;
    if (lease.renewalSeconds === Number.POSITIVE_INFINITY) return await forever(signal);
    await sleepUntil(clock, at(lease.renewalSeconds), signal);
    let renewed: Lease | undefined;
    while (!renewed) {
      const now = clock.now();
      if (now >= at(lease.leaseSeconds)) return;
      const rebinding = now >= at(lease.rebindingSeconds);
      const until = at(rebinding ? lease.leaseSeconds : lease.rebindingSeconds);
      const transaction = newTransaction(random);
      const seconds = Math.floor((now - at(lease.renewalSeconds)) / 1000);
      const clientAddress = lease.address;
      const message = encodeRequest({ type: messageType.request, transaction, seconds, mac, clientAddress });
      const waitMs = Math.min(Math.max((until - now) / 2, shortestRenewalWaitMs), Math.max(until - now, 1));
      let reply: DhcpReply | undefined;
      try {
        const link = rebinding ? options.openBroadcast() : await options.openUnicast(lease.address);
        try {
          link.send(message, rebinding ? "broadcast" : lease.server);
          reply = await waitFor(link, options, transaction, Math.min(waitMs, 10_000), signal, isDecision);
        } finally {
          link.close();
        }
      } catch (error) {
        signal.throwIfAborted();
        options.note(`renewing the lease: ${error instanceof Error ? error.message : String(error)}`);
      }
      if (reply?.type === messageType.nak) return;
      renewed = reply && leaseOf(reply, lease.server, now);
      if (!renewed) await sleepUntil(clock, now + waitMs, signal);
    }
    lease = renewed;
    options.onRenewed(lease);
  }
}

async function forever(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

/** In pieces, because a timer takes at most 2^31 ms and a lease may last longer. */
async function sleepUntil(clock: Clock, at: number, signal: AbortSignal): Promise<void> {
  for (let left = at - clock.now(); left > 0; left = at - clock.now())
    await clock.sleep(Math.min(left, 2 ** 30), signal);
}

/** ±10 %: machines of a rack that got power at once shall not ask at once. */
const jittered = (ms: number, random: () => number): number => ms * (0.9 + 0.2 * random());

/** The first reply to our transaction that `wanted` takes; others are dropped. */
async function waitFor(
  link: DhcpLink,
  { clock, mac }: DhcpClientOptions,
  transaction: number,
  waitMs: number,
  signal: AbortSignal,
  wanted: (reply: DhcpReply) => boolean,
): Promise<DhcpReply | undefined> {
  const until = clock.now() + waitMs;
  for (let left = waitMs; left > 0; left = until - clock.now()) {
    const bytes = await link.receive(left, signal);
    const reply = bytes && decodeReply(bytes);
    if (reply && reply.transaction === transaction && Buffer.from(mac).equals(reply.mac) && wanted(reply)) return reply;
  }
  return undefined;
}

/** An ack as lease. What a server leaves out gets the values of RFC 2131 §4.4.5 and of the address's class. */
function leaseOf(ack: DhcpReply, server: string, boundAt: number): Lease | undefined {
  if (ack.address === "0.0.0.0" || ack.address.startsWith("127.") || Number.parseInt(ack.address, 10) >= 224) {
    return undefined;
  }
  const leaseSeconds = ack.leaseSeconds ?? 3_600;
  const within = (value: number | undefined, low: number, high: number, otherwise: number): number =>
    value !== undefined && value > low && value < high ? value : otherwise;
  const endless = leaseSeconds === Number.POSITIVE_INFINITY;
  const rebindingSeconds = endless ? leaseSeconds : within(ack.rebindingSeconds, 0, leaseSeconds, leaseSeconds * 0.875);
  const renewalSeconds = endless
    ? leaseSeconds
    : within(ack.renewalSeconds, 0, rebindingSeconds, Math.min(leaseSeconds * 0.5, rebindingSeconds));
  const gateway = ack.routers[0];
  // RFC 3442: a client that understands classless routes ignores the router option when both are there
  const routes =
    ack.routes.length > 0 ? ack.routes : gateway ? [{ destination: "0.0.0.0", prefixLength: 0, gateway }] : [];
  return {
    address: ack.address,
    prefixLength: prefixLengthOf(ack.subnetMask ?? "") ?? classPrefixLength(ack.address),
    server: ack.server ?? server,
    routes,
    dns: ack.dns,
    domain: ack.domain,
    search: ack.search,
    hostName: ack.hostName,
    mtu: ack.mtu !== undefined && ack.mtu >= 576 ? ack.mtu : undefined,
    leaseSeconds,
    renewalSeconds,
    rebindingSeconds,
    boundAt,
  };
}
