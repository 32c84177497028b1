import { isIP } from "node:net";
import type { Clock } from "../../../inband/clock.ts";
import { acquireLease, type DhcpLink, Ipv6OnlyError, type Lease } from "./dhcp-client.ts";
import { bringUp, hasLink, interfaceNamed, listInterfaces, type NetworkInterface } from "./interfaces.ts";
import { type IpParameter, ipOfAdapter } from "./ip-parameter.ts";
import { acquireIpv6, type Ipv6Config, type Ipv6World } from "./ipv6-client.ts";
import { leadsTo, networkValues } from "./network-values.ts";
import { openPacketLink } from "./packet-link.ts";
import { hasIpv6, realIpv6World } from "./real-ipv6-world.ts";
import { staticLease, useStaticIpv6 } from "./static-address.ts";
import { addVlan, NoVlansError, removeVlan, vlanName } from "./vlan.ts";

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
  /** What `ip=` says, for the adapters that it is about; none: DHCP and IPv6 side by side. */
  readonly ips?: readonly IpParameter[];
  /** 1 to 4094 */
  readonly vlan?: number | undefined;
  /** The address without a way to which the network is of no use; undefined: either family will do, and any way. */
  readonly reach?: string | undefined;
  /** Adapters that led nowhere before, the latest one last: the others have the first word. */
  readonly ledNowhere?: readonly string[];
  readonly signal?: AbortSignal;
}

/** What the network is made of; a test stands in for it. */
export interface NetworkWorld {
  list(): NetworkInterface[];
  bringUp(name: string): void;
  hasLink(name: string): boolean;
  openLink(nic: NetworkInterface): DhcpLink;
  random(): number;
  /** Makes a tagged interface on an adapter, unless it is there, and switches it on. */
  addVlan(nic: NetworkInterface, id: number): { readonly nic: NetworkInterface; readonly isNew: boolean };
  removeVlan(nic: NetworkInterface, id: number): void;
  /** Undefined: the kernel has no IPv6. */
  readonly ipv6: Ipv6World | undefined;
}

/** How long a link may take before a person at the console is told what is waited for. */
const sayAfterMs = 5_000;
/** How long IPv4 may take longer than IPv6 where either will do. */
const secondFamilyMs = 4_000;
/** How long an adapter that led nowhere before waits for the others to get an address. */
const othersFirstMs = 15_000;

export const realNetworkWorld: NetworkWorld = {
  list: listInterfaces,
  bringUp,
  hasLink,
  openLink: (nic) => openPacketLink(nic.index),
  random: Math.random,
  addVlan(nic, id) {
    const isNew = addVlan(nic.name, id);
    const name = vlanName(nic.name, id);
    bringUp(name);
    return { nic: interfaceNamed(name), isNew };
  },
  removeVlan: (nic, id) => removeVlan(nic.name, id),
  get ipv6() {
    return hasIpv6() ? realIpv6World : undefined;
  },
};

export interface Bound {
  readonly adapter: NetworkInterface;
  /** The adapter, or the tagged interface on it. */
  readonly nic: NetworkInterface;
  readonly ip: IpParameter | undefined;
  /** Undefined: only IPv6. */
  readonly lease: Lease | undefined;
  /** Undefined: only IPv4, as far as is known. */
  readonly ipv6: Ipv6Config | undefined;
}

/**
 * Switches all adapters on and asks for addresses on each that has a link, IPv4 and IPv6 side by side; the first one that has
 * what is needed wins, the others are given up. Adapters may appear and links may come up late (a switch port that learns, or
 * waits for a partner of LACP, takes up to 90 s): both are looked for until the limit.
 * @throws NetworkError naming every adapter and what it lacked; NoVlansError
 */
export async function getLease(options: NetworkOptions, world: NetworkWorld = realNetworkWorld): Promise<Bound> {
  const { clock, note, ips = [], vlan, ledNowhere = [] } = options;
  const others = new AbortController();
  const ends = options.signal === undefined ? others.signal : AbortSignal.any([options.signal, others.signal]);
  const tries = new Map<string, Try>();
  const seen = new Map<string, NetworkInterface>();
  const problems = new Map<string, string>();
  const startedAt = clock.now();
  const until = startedAt + options.limitMs;
  let said = false;

  const rank = ({ adapter }: Try): number => ledNowhere.indexOf(adapter.name);
  const winner = (): Try | undefined => {
    const best = [...tries.values()].filter((each) => isEnough(each, options)).sort((a, b) => rank(a) - rank(b))[0];
    if (best === undefined || clock.now() - best.beganAt >= othersFirstMs) return best;
    return [...tries.values()].some((each) => rank(each) < rank(best)) ? undefined : best;
  };

  const start = (nic: NetworkInterface, ip: IpParameter | undefined): Try => {
    const target = vlan === undefined ? { nic, isNew: false } : world.addVlan(nic, vlan);
    const begun: Try = {
      ...{
        adapter: nic,
        nic: target.nic,
        isNew: target.isNew,
        ip,
        families: familiesOf(ip, world),
        beganAt: clock.now(),
      },
      ...{ lacks: new Map(), done: Promise.resolve() },
    };
    const notice = () => {
      if (winner() !== undefined) others.abort();
    };
    tries.set(nic.name, begun);
    begun.done = askBoth(begun, options, world, ends, notice);
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
      return `${begun.nic.name}: ${lost}${lackOf(begun, options)}`;
    });
    const names = [...new Set(ips.flatMap(({ device = options.interface }) => device ?? []))].join(" or ");
    const wanted = ips.length > 0 ? names : (options.interface ?? "");
    const named = wanted === "" ? "" : ` named ${wanted}`;
    return states.join("; ") || `no Ethernet adapter${named} found; is its driver in the ramdisk?`;
  };

  // links are looked for often at first: under a virtual machine they are there at once
  for (let pauseMs = 2; !winner() && clock.now() < until; pauseMs = Math.min(pauseMs * 1.5, 100)) {
    options.signal?.throwIfAborted();
    for (const nic of world.list().filter((each) => isWanted(each, options))) {
      const ip = ipOfAdapter(ips, nic.name, vlan);
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
        start(nic, ip);
      } catch (error) {
        if (error instanceof NoVlansError) throw error;
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
    for (const each of tries.values()) if (each !== bound && each.isNew) world.removeVlan(each.adapter, vlan);
  }
  options.signal?.throwIfAborted();
  if (bound) return { adapter: bound.adapter, nic: bound.nic, ip: bound.ip, lease: bound.lease, ipv6: bound.ipv6 };
  throw new NetworkError(`network: no address within ${options.limitMs / 1000} s: ${reason}`);
}

/** What is asked on one adapter, and what came of it. */
interface Try {
  readonly adapter: NetworkInterface;
  /** The adapter, or the tagged interface on it. */
  readonly nic: NetworkInterface;
  /** The tagged interface was made for this. */
  readonly isNew: boolean;
  readonly ip: IpParameter | undefined;
  readonly families: Families;
  /** On the clock of the options. */
  readonly beganAt: number;
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

/** The family that is needed and may be asked for; undefined: either will do. */
function neededFamily({ families }: Try, { reach = "" }: NetworkOptions): 4 | 6 | undefined {
  const family = isIP(reach);
  return (family === 4 || family === 6) && families.has(family) ? family : undefined;
}

/** Whether a lease, if there is one, leads to the address of IPv4 that is to be reached. */
function hasWay(begun: Try, options: NetworkOptions): boolean {
  const { lease } = begun;
  if (lease === undefined || neededFamily(begun, options) !== 4) return true;
  return leadsTo(networkValues({ ...begun, lease, ipv6: begun.ipv6 }), lease, options.reach ?? "");
}

function isEnough(begun: Try, options: NetworkOptions): boolean {
  const { lease, ipv6, families, ipv6At = 0, ipv6Only } = begun;
  const needed = neededFamily(begun, options);
  if (needed === 4) return lease !== undefined && hasWay(begun, options);
  if (needed === undefined && lease !== undefined) return true;
  if (ipv6 === undefined) return false;
  const mayCome = families.has(4) && lease === undefined && ipv6Only !== true && needed === undefined;
  return !mayCome || options.clock.now() - ipv6At >= secondFamilyMs;
}

function lackOf(begun: Try, options: NetworkOptions): string {
  const { lease, ipv6, lacks, families } = begun;
  const needed = neededFamily(begun, options);
  const four = families.has(4) && lease === undefined ? (lacks.get(4) ?? "no DHCP answer") : undefined;
  const six = families.has(6) && ipv6 === undefined ? (lacks.get(6) ?? "no router of IPv6") : undefined;
  if (lease !== undefined && !hasWay(begun, options)) {
    return `${lease.address} from ${lease.server}, without a way to ${options.reach} (neither its network nor a gateway)`;
  }
  const both = [four, six].filter((each) => each !== undefined).join(", ");
  return needed !== undefined && (lease ?? ipv6) ? `${both} (the service's address is one of IPv${needed})` : both;
}

async function askBoth(
  begun: Try,
  options: NetworkOptions,
  world: NetworkWorld,
  signal: AbortSignal,
  notice: () => void,
): Promise<void> {
  const { nic, ip, families } = begun;
  const { clock } = options;
  const note = (text: string) => options.note(`${nic.name}: ${text}`);
  const attempt = async (family: 4 | 6, work: () => Promise<void>): Promise<void> => {
    try {
      if (families.has(family)) await work();
      if (family === 4 && !hasWay(begun, options)) note(`${lackOf(begun, options)}; waiting for other adapters`);
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
      const acceptsIpv6Only = families.has(6) && neededFamily(begun, options) !== 4;
      const heard = (text: string) => void begun.lacks.set(4, text);
      const client = { mac: nic.macBytes, clock, random: world.random, note, heard, acceptsIpv6Only };
      begun.lease = await acquireLease(link, client, signal);
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
        : await useStaticIpv6(nic, ip.static, ip.gateway, world.ipv6, client, signal);
    begun.ipv6At = clock.now();
  };
  await Promise.all([attempt(4, four), attempt(6, six)]);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A device that `ip=` names comes before the key `interface`. */
function isWanted(nic: NetworkInterface, { ips = [], interface: wanted, vlan }: NetworkOptions): boolean {
  const ip = ipOfAdapter(ips, nic.name, vlan);
  if (ips.length > 0 && ip === undefined) return false;
  return ip?.device !== undefined || wanted === undefined || nic.name === wanted || nic.mac === wanted;
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
