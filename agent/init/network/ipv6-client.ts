import type { Clock } from "../../../inband/clock.ts";
import { acquireAddress6, askInformation6, type Dhcp6Link, jittered } from "./dhcp6-client.ts";
import type { Dhcp6Reply } from "./dhcp6-message.ts";
import type { NetworkInterface } from "./interfaces.ts";
import type { Ipv6Address } from "./ipv6-interface.ts";
import type { RouterAdvertisement } from "./router-advertisement.ts";

/** A way to hear the routers of one link. */
export interface RouterLink {
  solicit(): void;
  /** The next advertisement; undefined when there was none for `waitMs` milliseconds. */
  receive(waitMs: number, signal: AbortSignal): Promise<RouterAdvertisement | undefined>;
  close(): void;
}

/** What IPv6 on an interface is made of; a test stands in for it. */
export interface Ipv6World {
  /** @returns whether the kernel can IPv6 */
  enable(name: string): boolean;
  openRouterLink(nic: NetworkInterface): RouterLink;
  openDhcp(nic: NetworkInterface, linkLocal: string): Promise<Dhcp6Link>;
  addresses(name: string): readonly Ipv6Address[];
  addAddress(nic: NetworkInterface, address: string, prefixLength: number): void;
  addDefaultRoute(nic: NetworkInterface, gateway: string): void;
}

export interface Ipv6Options {
  readonly clock: Clock;
  /** 0 to 1, 1 excluded. */
  readonly random: () => number;
  readonly note: (text: string) => void;
}

/** An interface whose addresses of IPv6 can be used. */
export interface Ipv6Config {
  readonly addresses: readonly string[];
  readonly router: string;
  readonly dns: readonly string[];
  readonly search: readonly string[];
  /** The address by DHCPv6, if there is one. */
  readonly lease: Dhcp6Lease | undefined;
}

export interface Dhcp6Lease extends Dhcp6Reply {
  readonly address: string;
  /** On the client's clock, milliseconds. */
  readonly boundAt: number;
}

/** RFC 4861 §10 has 4 s between solicitations; a machine that boots asks sooner, and RFC 7559 has it ask on. */
const firstWaitMs = 1_000;
const longestWaitMs = 16_000;
/** For a proof that nobody else has an address (RFC 4862: 1 s, after a random one of the same length). */
const proofLimitMs = 6_000;
/** For DHCPv6, where there is a usable address without it. */
const besidesLimitMs = 10_000;

/**
 * Gets an address that can be used: the kernel makes it out of what a router advertises, or a DHCPv6 server gives it.
 * Tries until the signal ends it. RFC 4862, RFC 8415.
 * @throws Error if the kernel has no IPv6
 */
export async function acquireIpv6(
  nic: NetworkInterface,
  world: Ipv6World,
  options: Ipv6Options,
  signal: AbortSignal,
): Promise<Ipv6Config> {
  const link = world.openRouterLink(nic);
  try {
    if (!world.enable(nic.name)) throw new Error("the kernel has no IPv6");
    for (let waitMs = firstWaitMs; ; waitMs = Math.min(2 * waitMs, longestWaitMs)) {
      signal.throwIfAborted();
      link.solicit();
      const heard = await link.receive(jittered(waitMs, options.random), signal);
      const config = heard && (await useAdvertisement(nic, heard, world, options, signal));
      if (config !== undefined) return config;
    }
  } finally {
    link.close();
  }
}

async function useAdvertisement(
  nic: NetworkInterface,
  heard: RouterAdvertisement,
  world: Ipv6World,
  options: Ipv6Options,
  signal: AbortSignal,
): Promise<Ipv6Config | undefined> {
  const { note, clock } = options;
  const ways = [...(heard.autonomous ? ["its own address"] : []), ...(heard.managed ? ["DHCPv6"] : [])].join(" and ");
  note(`router ${heard.router} advertises ${ways === "" ? "no addresses" : ways}`);
  if (ways === "") {
    await clock.sleep(firstWaitMs, signal);
    return undefined;
  }
  const answer = await askDhcp(nic, heard, world, options, signal);
  const lease =
    answer?.address === undefined ? undefined : { ...answer, address: answer.address, boundAt: clock.now() };
  if (lease !== undefined) world.addAddress(nic, lease.address, 128);
  const addresses = await provedAddresses(nic, world, options, signal, lease?.address);
  if (addresses.length === 0) return undefined;
  const dns = [...new Set([...heard.dns, ...(answer?.dns ?? [])])].map((each) => withZone(each, nic.name));
  return { addresses, router: heard.router, dns, search: [...heard.search, ...(answer?.search ?? [])], lease };
}

/** resolv.conf(5) and inet_pton(3): an address of the link needs the link's name. */
const withZone = (address: string, name: string): string =>
  /^fe[89ab]/i.test(address) ? `${address}%${name}` : address;

/** What DHCPv6 gives, where the router says that there is a server: an address, or DNS servers that nobody else tells. */
async function askDhcp(
  nic: NetworkInterface,
  { managed, other, autonomous, dns }: RouterAdvertisement,
  world: Ipv6World,
  options: Ipv6Options,
  outer: AbortSignal,
): Promise<Dhcp6Reply | undefined> {
  if (!managed && !(other && dns.length === 0)) return undefined;
  const linkLocal = await provedAddress(nic, world, options, outer, (each) => each.isLinkLocal);
  if (linkLocal === undefined) return undefined;
  const link = await world.openDhcp(nic, linkLocal.address);
  const enough = new AbortController();
  const signal = AbortSignal.any([outer, enough.signal]);
  try {
    const client = { ...options, mac: nic.macBytes };
    if (!managed) return await askInformation6(link, client, besidesLimitMs, signal);
    if (autonomous) {
      options.clock.sleep(besidesLimitMs, signal).then(
        () => enough.abort(),
        () => undefined,
      );
    }
    return await acquireAddress6(link, client, signal);
  } catch (error) {
    if (!enough.signal.aborted || outer.aborted) throw error;
    options.note("no address by DHCPv6: going on without it");
    return undefined;
  } finally {
    enough.abort();
    link.close();
  }
}

/** All global addresses that can be used; waits until there is one, and until that of DHCPv6 is proved. */
async function provedAddresses(
  nic: NetworkInterface,
  world: Ipv6World,
  options: Ipv6Options,
  signal: AbortSignal,
  leased: string | undefined,
): Promise<string[]> {
  const isWanted = ({ isLinkLocal, address }: Ipv6Address) =>
    !isLinkLocal && (leased === undefined || address === leased);
  await provedAddress(nic, world, options, signal, isWanted);
  return world
    .addresses(nic.name)
    .filter((each) => !each.isLinkLocal && !each.isTentative && !each.isDuplicate)
    .map(({ address }) => address);
}

/** Waits for an address that nobody else has. Undefined: there is none in time. RFC 4862 §5.4. */
export async function provedAddress(
  nic: NetworkInterface,
  { addresses }: Pick<Ipv6World, "addresses">,
  { clock, note }: Pick<Ipv6Options, "clock" | "note">,
  signal: AbortSignal,
  isWanted: (address: Ipv6Address) => boolean,
): Promise<Ipv6Address | undefined> {
  const until = clock.now() + proofLimitMs;
  for (;;) {
    const wanted = addresses(nic.name).filter(isWanted);
    const proved = wanted.find((each) => !each.isTentative && !each.isDuplicate);
    if (proved !== undefined) return proved;
    const taken = wanted.find((each) => each.isDuplicate);
    if (taken !== undefined) {
      note(`another machine has the address ${taken.address}`);
      return undefined;
    }
    if (clock.now() >= until) return undefined;
    await clock.sleep(50, signal);
  }
}
