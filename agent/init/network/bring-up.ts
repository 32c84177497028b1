import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "../../../inband/clock.ts";
import { setHostName } from "../libc.ts";
import { acquireLease, type DhcpLink, Ipv6OnlyError, keepLease, type Lease } from "./dhcp-client.ts";
import {
  addRoute,
  bringUp,
  hasLink,
  interfaceNamed,
  listInterfaces,
  type NetworkInterface,
  setAddress,
  setMtu,
} from "./interfaces.ts";
import type { IpParameter } from "./ip-parameter.ts";
import { acquireIpv6, type Ipv6Config, type Ipv6World } from "./ipv6-client.ts";
import { keepIpv6 } from "./keep-ipv6.ts";
import { openPacketLink } from "./packet-link.ts";
import { hasIpv6, realIpv6World } from "./real-ipv6-world.ts";
import { staticLease, useStaticIpv6 } from "./static-address.ts";
import { addVlan, removeVlan, vlanName } from "./vlan.ts";

/** No address within the limit. Exit code 69: run again. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
  readonly code = "network";
}

export interface NetworkOptions {
  readonly clock: Clock;
  /** Name or MAC address; undefined: any. */
  readonly interface: string | undefined;
  readonly limitMs: number;
  readonly note: (text: string) => void;
  /** What `ip=` says; undefined: DHCP and IPv6 side by side. */
  readonly ip?: IpParameter | undefined;
  /** 1 to 4094 */
  readonly vlan?: number | undefined;
  /** The family without which the service cannot be reached; undefined: either will do. */
  readonly needs?: 4 | 6 | undefined;
  readonly signal?: AbortSignal;
}

/** What the network is made of; a test stands in for it. */
export interface NetworkWorld {
  list(): NetworkInterface[];
  bringUp(name: string): void;
  hasLink(name: string): boolean;
  openLink(nic: NetworkInterface): DhcpLink;
  random(): number;
  /** Makes a tagged interface on an adapter and switches it on. */
  addVlan(nic: NetworkInterface, id: number): NetworkInterface;
  removeVlan(nic: NetworkInterface, id: number): void;
  /** Undefined: the kernel has no IPv6. */
  readonly ipv6: Ipv6World | undefined;
}

/** How long a link may take before a person at the console is told what is waited for. */
const sayAfterMs = 5_000;
/** How long IPv4 may take longer than IPv6 where either will do. */
const secondFamilyMs = 4_000;

export const realNetworkWorld: NetworkWorld = {
  list: listInterfaces,
  bringUp,
  hasLink,
  openLink: (nic) => openPacketLink(nic.index),
  random: Math.random,
  addVlan(nic, id) {
    addVlan(nic.name, id);
    const name = vlanName(nic.name, id);
    bringUp(name);
    return interfaceNamed(name);
  },
  removeVlan: (nic, id) => removeVlan(nic.name, id),
  get ipv6() {
    return hasIpv6() ? realIpv6World : undefined;
  },
};

export interface Bound {
  readonly nic: NetworkInterface;
  /** Undefined: only IPv6. */
  readonly lease: Lease | undefined;
  /** Undefined: only IPv4, as far as is known. */
  readonly ipv6: Ipv6Config | undefined;
}

/**
 * Switches all adapters on and asks for addresses on each that has a link, IPv4 and IPv6 side by side; the first one that has
 * what is needed wins, the others are given up. Adapters may appear and links may come up late (a switch port that learns, or
 * waits for a partner of LACP, takes up to 90 s): both are looked for until the limit.
 * Throws NetworkError naming every adapter and what it lacked.
 */
export async function getLease(options: NetworkOptions, world: NetworkWorld = realNetworkWorld): Promise<Bound> {
  const { clock, note, ip, vlan } = options;
  const families = familiesOf(ip, world);
  const wanted = ip?.device ?? options.interface;
  const others = new AbortController();
  const ends = options.signal === undefined ? others.signal : AbortSignal.any([options.signal, others.signal]);
  const tries = new Map<string, Try>();
  const seen = new Map<string, NetworkInterface>();
  const problems = new Map<string, string>();
  const startedAt = clock.now();
  const until = startedAt + options.limitMs;
  let said = false;

  const start = (nic: NetworkInterface): Try => {
    const target = vlan === undefined ? nic : world.addVlan(nic, vlan);
    const begun: Try = { adapter: nic, nic: target, lacks: new Map(), done: Promise.resolve() };
    const notice = () => {
      if (isEnough(begun, families, options)) others.abort();
    };
    begun.done = askBoth(begun, families, options, world, ends, notice);
    return begun;
  };

  /** Every adapter and what it lacks. */
  const lacks = (): string => {
    const states = [...seen.keys()].map((name) => {
      const begun = tries.get(name);
      const problem = problems.get(name);
      if (problem !== undefined) return `${name}: ${problem}`;
      if (begun === undefined) return `${name}: no link (cable, switch port)`;
      const lost = world.hasLink(name) ? "" : "the link was lost; ";
      return `${begun.nic.name}: ${lost}${lackOf(begun, families, options)}`;
    });
    const named = wanted === undefined ? "" : ` named ${wanted}`;
    return states.join("; ") || `no Ethernet adapter${named} found; is its driver in the ramdisk?`;
  };

  const winner = () => [...tries.values()].find((each) => isEnough(each, families, options));
  // links are looked for often at first: under a virtual machine they are there at once
  for (let pauseMs = 2; !winner() && clock.now() < until; pauseMs = Math.min(pauseMs * 1.5, 100)) {
    options.signal?.throwIfAborted();
    for (const nic of world.list().filter((each) => isWanted(each, wanted))) {
      if (!seen.has(nic.name)) {
        seen.set(nic.name, nic);
        try {
          world.bringUp(nic.name);
        } catch (error) {
          problems.set(nic.name, messageOf(error));
        }
      }
      if (tries.has(nic.name) || problems.has(nic.name) || !world.hasLink(nic.name)) continue;
      try {
        note(`${nic.name}: link is up, MAC ${nic.mac}, ${purpose(ip, vlan)}`);
        tries.set(nic.name, start(nic));
      } catch (error) {
        problems.set(nic.name, messageOf(error));
      }
    }
    if (!said && tries.size === 0 && clock.now() - startedAt >= sayAfterMs) {
      said = true;
      note(`network: waiting at most ${options.limitMs / 1000} s: ${lacks()}`);
    }
    await Promise.race([clock.sleep(pauseMs), aborted(ends)]);
  }
  const bound = winner();
  const reason = lacks();
  others.abort();
  await Promise.all([...tries.values()].map(({ done }) => done));
  if (vlan !== undefined) {
    for (const each of tries.values()) if (each !== bound) world.removeVlan(each.adapter, vlan);
  }
  options.signal?.throwIfAborted();
  if (bound) return { nic: bound.nic, lease: bound.lease, ipv6: bound.ipv6 };
  throw new NetworkError(`network: no address within ${options.limitMs / 1000} s: ${reason}`);
}

/** What is asked on one adapter, and what came of it. */
interface Try {
  readonly adapter: NetworkInterface;
  /** The adapter, or the tagged interface on it. */
  readonly nic: NetworkInterface;
  lease?: Lease;
  ipv6?: Ipv6Config;
  /** When the addresses of IPv6 could be used, on the clock of the options. */
  ipv6At?: number;
  /** The network asks for IPv6 alone. */
  ipv6Only?: boolean;
  /** By family: what was heard instead of an address. */
  readonly lacks: Map<4 | 6, string>;
  done: Promise<void>;
}

type Families = ReadonlySet<4 | 6>;

function familiesOf(ip: IpParameter | undefined, world: NetworkWorld): Families {
  if (ip?.static !== undefined) return new Set([ip.static.family]);
  if (ip?.method === "dhcp") return new Set([4]);
  if (ip?.method === "ipv6") return new Set([6]);
  return new Set(world.ipv6 === undefined ? [4] : [4, 6]);
}

const purpose = (ip: IpParameter | undefined, vlan: number | undefined): string =>
  `${ip?.static === undefined ? "asking for an address" : `address ${ip.static.address}`}${vlan === undefined ? "" : ` on VLAN ${vlan}`}`;

function isEnough(
  { lease, ipv6, ipv6At = 0, ipv6Only }: Try,
  families: Families,
  { needs, clock }: NetworkOptions,
): boolean {
  const needed = needs !== undefined && families.has(needs) ? needs : undefined;
  if (needed !== 6 && lease !== undefined) return true;
  if (needed === 4 || ipv6 === undefined) return false;
  const mayCome = families.has(4) && lease === undefined && ipv6Only !== true && needed === undefined;
  return !mayCome || clock.now() - ipv6At >= secondFamilyMs;
}

function lackOf({ lease, ipv6, lacks }: Try, families: Families, { needs }: NetworkOptions): string {
  const four = families.has(4) && lease === undefined ? (lacks.get(4) ?? "no DHCP answer") : undefined;
  const six = families.has(6) && ipv6 === undefined ? (lacks.get(6) ?? "no router of IPv6") : undefined;
  const both = [four, six].filter((each) => each !== undefined).join(", ");
  return needs !== undefined && (lease ?? ipv6) ? `${both} (the service's address is one of IPv${needs})` : both;
}

async function askBoth(
  begun: Try,
  families: Families,
  options: NetworkOptions,
  world: NetworkWorld,
  signal: AbortSignal,
  notice: () => void,
): Promise<void> {
  const { nic } = begun;
  const { clock, ip } = options;
  const note = (text: string) => options.note(`${nic.name}: ${text}`);
  const attempt = async (family: 4 | 6, work: () => Promise<void>): Promise<void> => {
    try {
      if (families.has(family)) await work();
      notice();
    } catch (error) {
      if (signal.aborted) return;
      begun.lacks.set(family, messageOf(error));
      note(messageOf(error));
      begun.ipv6Only = error instanceof Ipv6OnlyError;
      notice();
    }
  };
  const four = async () => {
    if (ip?.static !== undefined) {
      begun.lease = staticLease(ip.static, clock.now());
      return;
    }
    const link = world.openLink(nic);
    try {
      const acceptsIpv6Only = families.has(6) && options.needs !== 4;
      const heard = (text: string) => void begun.lacks.set(4, text);
      const client = { mac: nic.macBytes, clock, random: world.random, note, heard, acceptsIpv6Only };
      const lease = await acquireLease(link, client, signal);
      begun.lease = ip?.mtu === undefined ? lease : { ...lease, mtu: ip.mtu };
    } finally {
      link.close();
    }
  };
  const six = async () => {
    if (world.ipv6 === undefined) throw new Error("the kernel has no IPv6");
    const heard = (text: string): void => {
      begun.lacks.set(6, text);
      note(text);
    };
    const client = { clock, random: world.random, note: heard };
    begun.ipv6 =
      ip?.static === undefined
        ? await acquireIpv6(nic, world.ipv6, client, signal)
        : await useStaticIpv6(nic, ip.static, world.ipv6, client, signal);
    begun.ipv6At = clock.now();
  };
  await Promise.all([attempt(4, four), attempt(6, six)]);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const isWanted = (nic: NetworkInterface, wanted: string | undefined): boolean =>
  wanted === undefined || nic.name === wanted || nic.mac === wanted;

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

/**
 * Puts to use what was got: address, MTU, routes, resolv.conf, host name. Throws when the address cannot be set; what else a
 * server tells may be wrong without making the address useless: returned, a sentence each.
 */
export function applyLease({ nic, lease, ipv6 }: Bound): string[] {
  const problems: string[] = [];
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      problems.push(`${lease === undefined ? "IPv6" : `DHCP server ${lease.server}`}: ${messageOf(error)}`);
    }
  };
  if (lease !== undefined) {
    setAddress(nic.name, lease.address, lease.prefixLength);
    const { mtu, hostName } = lease;
    if (mtu !== undefined) attempt(() => setMtu(nic.name, mtu));
    for (const route of lease.routes) attempt(() => addRoute(nic.name, route));
    if (hostName !== undefined) attempt(() => setHostName(hostName.split(".")[0]?.slice(0, 63) ?? ""));
  }
  attempt(() => {
    mkdirSync("/etc", { recursive: true });
    const dns = [...(lease?.dns ?? []), ...(ipv6?.dns ?? [])];
    const search = [...(lease?.search ?? []), ...(ipv6?.search ?? [])];
    writeFileSync("/etc/resolv.conf", resolvConf({ dns, domain: lease?.domain, search }));
  });
  return problems;
}

/** resolv.conf(5): at most three servers count. */
export function resolvConf({ dns, domain, search }: Pick<Lease, "dns" | "domain" | "search">): string {
  const names = search.length > 0 ? search : domain === undefined ? [] : [domain];
  const lines = [
    ...(names.length > 0 ? [`search ${names.join(" ")}`] : []),
    ...dns.slice(0, 3).map((each) => `nameserver ${each}`),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** The interface 127.0.0.1 lives on, and the names that need no DNS. */
export function bringUpLoopback(): void {
  bringUp("lo");
  writeHosts("/etc/hosts");
}

/** hosts(5), unless there is one: a site may have put its names into the ramdisk. */
export function writeHosts(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  if (!existsSync(path)) writeFileSync(path, "127.0.0.1 localhost\n::1 localhost\n");
}

/** Keeps the addresses for as long as the machine runs: renews, and begins anew when a lease is lost. */
export async function keepNetwork(first: Bound, options: NetworkOptions, signal: AbortSignal): Promise<void> {
  const { nic, lease, ipv6 } = first;
  await Promise.all([
    lease === undefined ? undefined : keepIpv4({ nic, lease, ipv6 }, options, signal),
    ipv6?.lease === undefined
      ? undefined
      : keepIpv6(nic, ipv6.lease, realIpv6World, { ...options, random: Math.random }, signal),
  ]);
}

async function keepIpv4(
  first: Bound & { readonly lease: Lease },
  options: NetworkOptions,
  signal: AbortSignal,
): Promise<void> {
  let bound = first;
  const { nic, ipv6 } = first;
  const note = (text: string) => options.note(`${nic.name}: ${text}`);
  const client = { mac: nic.macBytes, clock: options.clock, random: Math.random, note };
  while (!signal.aborted) {
    await keepLease(
      bound.lease,
      {
        ...client,
        openUnicast: async (address) => (await import("./udp-link.ts")).openUdpLink(address),
        openBroadcast: () => openPacketLink(nic.index),
        onRenewed: (lease) => {
          bound = { nic, lease, ipv6 };
          for (const problem of applyLease(bound)) note(problem);
          note(`lease of ${lease.address} renewed for ${lease.leaseSeconds} s`);
        },
      },
      signal,
    );
    note(`lease of ${bound.lease.address} is lost, asking for a new one`);
    setAddress(nic.name, "0.0.0.0", 0);
    const link = openPacketLink(nic.index);
    try {
      bound = { nic, ipv6, lease: await acquireLease(link, client, signal) };
    } finally {
      link.close();
    }
    for (const problem of applyLease(bound)) note(problem);
    note(`address ${bound.lease.address}/${bound.lease.prefixLength}`);
  }
}
