import type { Clock } from "../../../inband/clock.ts";
import { type DhcpReply, decodeReply, encodeRequest, messageType, type Route } from "./dhcp-message.ts";

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
}

/** First wait for an answer and the longest one. RFC 2131 §4.1 asks for 4 s and 64 s; a booting machine asks sooner. */
const firstWaitMs = 1_000;
const longestWaitMs = 16_000;
const requestTries = 4;
/** RFC 2131 §4.4.5: a renewal is not repeated more often than this. */
const shortestRenewalWaitMs = 60_000;

/**
 * Gets a lease: discover, offer, request, ack. The first server that offers is asked. Tries until the signal ends it.
 * Does not probe by ARP whether somebody else uses the address.
 */
export async function acquireLease(link: DhcpLink, options: DhcpClientOptions, signal: AbortSignal): Promise<Lease> {
  const { mac, clock, random, note } = options;
  const startedAt = clock.now();
  const seconds = () => Math.floor((clock.now() - startedAt) / 1000);
  let waitMs = firstWaitMs;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    const transaction = Math.floor(random() * 0x1_0000_0000);
    link.send(encodeRequest({ type: messageType.discover, transaction, seconds: seconds(), mac }), "broadcast");
    const wait = jittered(waitMs, random);
    waitMs = Math.min(waitMs * 2, longestWaitMs);
    const offer = await waitFor(link, options, transaction, wait, signal, (reply) => reply.type === messageType.offer);
    if (!offer?.server) {
      if (attempt > 1) note(`no DHCP offer after ${attempt} tries (${seconds()} s), trying on`);
      continue;
    }
    const granted = await request(link, options, transaction, offer, seconds, signal);
    if (granted) return granted;
    await clock.sleep(jittered(firstWaitMs, random), signal);
  }
}

async function request(
  link: DhcpLink,
  options: DhcpClientOptions,
  transaction: number,
  offer: DhcpReply,
  seconds: () => number,
  signal: AbortSignal,
): Promise<Lease | undefined> {
  const { mac, clock, random, note } = options;
  const server = offer.server ?? "";
  for (let attempt = 0; attempt < requestTries; attempt++) {
    const askedAt = clock.now();
    const message = { type: messageType.request, transaction, seconds: seconds(), mac } as const;
    link.send(encodeRequest({ ...message, requestedAddress: offer.address, server }), "broadcast");
    const wait = jittered(firstWaitMs * 2 ** attempt, random);
    const reply = await waitFor(link, options, transaction, wait, signal, isDecision);
    if (reply?.type === messageType.nak) {
      note(`DHCP server ${server} refuses ${offer.address}${reply.message ? `: ${reply.message}` : ""}`);
      return undefined;
    }
    if (reply) return leaseOf(reply, server, askedAt);
  }
  note(`DHCP server ${server} offered ${offer.address} and then did not answer`);
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
      const transaction = Math.floor(random() * 0x1_0000_0000);
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
    prefixLength: prefixLengthOf(ack.subnetMask) ?? classPrefixLength(ack.address),
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

function prefixLengthOf(mask: string | undefined): number | undefined {
  if (mask === undefined) return undefined;
  const bits = mask
    .split(".")
    .map((byte) => Number(byte).toString(2).padStart(8, "0"))
    .join("");
  return /^1+0*$/.test(bits) ? bits.replaceAll("0", "").length : undefined;
}

function classPrefixLength(address: string): number {
  const first = Number.parseInt(address, 10);
  return first < 128 ? 8 : first < 192 ? 16 : 24;
}
