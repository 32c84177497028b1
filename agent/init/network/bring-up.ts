import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "../../../inband/clock.ts";
import { setHostName } from "../libc.ts";
import { acquireLease, type DhcpLink, keepLease, type Lease } from "./dhcp-client.ts";
import { addRoute, bringUp, hasLink, listInterfaces, type NetworkInterface, setAddress, setMtu } from "./interfaces.ts";
import { openPacketLink } from "./packet-link.ts";

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
}

/** What the network is made of; a test stands in for it. */
export interface NetworkWorld {
  list(): NetworkInterface[];
  bringUp(name: string): void;
  hasLink(name: string): boolean;
  openLink(nic: NetworkInterface): DhcpLink;
  random(): number;
}

/** How long a link may take before a person at the console is told what is waited for. */
const sayAfterMs = 5_000;

export const realNetworkWorld: NetworkWorld = {
  list: listInterfaces,
  bringUp,
  hasLink,
  openLink: (nic) => openPacketLink(nic.index),
  random: Math.random,
};

export interface Bound {
  readonly nic: NetworkInterface;
  readonly lease: Lease;
}

/**
 * Switches all adapters on and asks for an address on each that has a link; the first lease wins, the others are given up.
 * Adapters may appear and links may come up late: both are looked for until the limit.
 * Throws NetworkError naming every adapter and what it lacked.
 */
export async function getLease(options: NetworkOptions, world: NetworkWorld = realNetworkWorld): Promise<Bound> {
  const { clock, note } = options;
  const others = new AbortController();
  const asking = new Map<string, NetworkInterface>();
  const seen = new Map<string, NetworkInterface>();
  const problems = new Map<string, string>();
  let bound: Bound | undefined;
  const startedAt = clock.now();
  const until = startedAt + options.limitMs;
  let said = false;

  const ask = async (nic: NetworkInterface): Promise<void> => {
    const say = (text: string) => note(`${nic.name}: ${text}`);
    let link: DhcpLink | undefined;
    try {
      link = world.openLink(nic);
      const client = { mac: nic.macBytes, clock, random: world.random, note: say };
      const lease = await acquireLease(link, client, others.signal);
      bound ??= { nic, lease };
      others.abort();
    } catch (error) {
      if (!others.signal.aborted) problems.set(nic.name, error instanceof Error ? error.message : String(error));
    } finally {
      link?.close();
    }
  };

  /** Every adapter and what it lacks. */
  const lacks = (): string => {
    const states = [...seen.keys()].map(
      (name) =>
        `${name}: ${problems.get(name) ?? (asking.has(name) ? "no DHCP answer" : "no link (cable, switch port)")}`,
    );
    const wanted = options.interface === undefined ? "" : ` named ${options.interface}`;
    return states.join("; ") || `no Ethernet adapter${wanted} found; is its driver in the ramdisk?`;
  };

  const running: Promise<void>[] = [];
  // links are looked for often at first: under a virtual machine they are there at once
  for (let pauseMs = 2; !bound && clock.now() < until; pauseMs = Math.min(pauseMs * 1.5, 100)) {
    for (const nic of world.list().filter((each) => isWanted(each, options.interface))) {
      if (!seen.has(nic.name)) {
        seen.set(nic.name, nic);
        try {
          world.bringUp(nic.name);
        } catch (error) {
          problems.set(nic.name, error instanceof Error ? error.message : String(error));
        }
      }
      if (!asking.has(nic.name) && world.hasLink(nic.name)) {
        asking.set(nic.name, nic);
        note(`${nic.name}: link is up, MAC ${nic.mac}, asking for an address`);
        running.push(ask(nic));
      }
    }
    if (!said && asking.size === 0 && clock.now() - startedAt >= sayAfterMs) {
      said = true;
      note(`network: waiting at most ${options.limitMs / 1000} s: ${lacks()}`);
    }
    await Promise.race([clock.sleep(pauseMs), aborted(others.signal)]);
  }
  others.abort();
  await Promise.all(running);
  if (bound) return bound;
  throw new NetworkError(`network: no address within ${options.limitMs / 1000} s: ${lacks()}`);
}

const isWanted = (nic: NetworkInterface, wanted: string | undefined): boolean =>
  wanted === undefined || nic.name === wanted || nic.mac === wanted;

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));

/**
 * Puts a lease to use: address, MTU, routes, resolv.conf, host name. Throws when the address cannot be set; what else a
 * server tells may be wrong without making the address useless: returned, a sentence each.
 */
export function applyLease({ nic, lease }: Bound): string[] {
  setAddress(nic.name, lease.address, lease.prefixLength);
  const problems: string[] = [];
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      problems.push(`DHCP server ${lease.server}: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const { mtu, hostName } = lease;
  if (mtu !== undefined) attempt(() => setMtu(nic.name, mtu));
  for (const route of lease.routes) attempt(() => addRoute(nic.name, route));
  attempt(() => {
    mkdirSync("/etc", { recursive: true });
    writeFileSync("/etc/resolv.conf", resolvConf(lease));
  });
  if (hostName !== undefined) attempt(() => setHostName(hostName.split(".")[0]?.slice(0, 63) ?? ""));
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

/** Keeps the address for as long as the machine runs: renews, and begins anew when the lease is lost. Never returns. */
export async function keepNetwork(first: Bound, options: NetworkOptions, signal: AbortSignal): Promise<void> {
  let bound = first;
  const note = (text: string) => options.note(`${bound.nic.name}: ${text}`);
  while (!signal.aborted) {
    const { nic } = bound;
    const client = { mac: nic.macBytes, clock: options.clock, random: Math.random, note };
    await keepLease(
      bound.lease,
      {
        ...client,
        openUnicast: async (address) => (await import("./udp-link.ts")).openUdpLink(address),
        openBroadcast: () => openPacketLink(nic.index),
        onRenewed: (lease) => {
          bound = { nic, lease };
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
      bound = { nic, lease: await acquireLease(link, client, signal) };
    } finally {
      link.close();
    }
    for (const problem of applyLease(bound)) note(problem);
    note(`address ${bound.lease.address}/${bound.lease.prefixLength}`);
  }
}
