import { BlockList, isIP } from "node:net";
import { networkInterfaces } from "node:os";
import { formatIpv4, formatIpv6, type IpKind, ipKind, parseIpv4, parseIpv6 } from "../../ipmi/ip.ts";
import type { Endpoint } from "../endpoint.ts";

/** Addresses "10.0.0.0" to "10.255.255.255" as "10.0.0.0/8". */
export interface Network {
  readonly address: string;
  readonly prefix: number;
}

/** What BMCs listen on below 1024: RMCP and secure RMCP. IPMI 2.0 §13.1.2. The others belong to other services. */
const rmcpPorts: readonly number[] = [623, 664];
const firstFreePort = 1_024;

/** How long the service's own addresses are remembered, ms: a list of BMCs asks for each row. */
const ownForMs = 10_000;

/**
 * Reads "10.0.0.0/8", "2001:db8::/32" or an address alone.
 * @throws RangeError that says what is wrong
 */
export function parseNetwork(text: string): Network {
  const [address = "", prefixText, ...more] = text.split("/");
  const bits = { 4: 32, 6: 128 }[isIP(address)];
  const prefix = prefixText === undefined ? bits : /^\d{1,3}$/.test(prefixText) ? Number(prefixText) : undefined;
  if (bits === undefined || prefix === undefined || prefix > bits || more.length > 0 || address.includes("%")) {
    throw new RangeError(`${JSON.stringify(text)} is no network: give ADDRESS/PREFIX, as 10.0.0.0/8 or 2001:db8::/32`);
  }
  return { address, prefix };
}

/**
 * Where the service may go. An agent or an operator tells where a BMC is, and who lies there could have the service talk to something
 * else. So it goes to no address of its own machine, and to none that is no single machine's in a network; with a list of
 * networks, nowhere else. A network of the list allows its own addresses again: 127.0.0.0/8 those of this machine, 169.254.0.0/16
 * or fe80::/10 link-local ones, and a single address one of the service's own.
 */
export class BmcNetworks {
  readonly #networks: readonly Network[];
  readonly #own: () => readonly string[];
  readonly #allowed: BlockList;
  readonly #loopback: BlockList;
  readonly #linkLocal: BlockList;
  readonly #single: BlockList;

  /** @param own tells the addresses of this machine */
  constructor(networks: readonly Network[], own: () => readonly string[] = rememberedOwn()) {
    this.#networks = networks;
    this.#own = own;
    const of = (...kinds: readonly IpKind[]) => networks.filter(({ address }) => kinds.includes(kindOf(address)));
    this.#allowed = listOf(networks);
    this.#loopback = listOf(of("loopback"));
    this.#linkLocal = listOf(of("link-local"));
    this.#single = listOf(networks.filter(({ address, prefix }) => prefix === (isIP(address) === 4 ? 32 : 128)));
  }

  /** Why the service does not go there; undefined if it does, or if `host` is a name, of which nothing is known yet. */
  problem({ host, port }: Endpoint): string | undefined {
    for (const address of isIP(host) === 0 ? [] : whereItLeads(host)) {
      const problem = this.#problemOf(address);
      if (problem !== undefined) return problem;
    }
    if (port >= firstFreePort || rmcpPorts.includes(port)) return undefined;
    return `port ${port} belongs to another service: BMCs have 623, 664 or one above 1023`;
  }

  #problemOf(address: string): string | undefined {
    const kind = kindOf(address);
    const flag = "(--bmc-networks of the service)";
    switch (kind) {
      case "unspecified":
      case "multicast":
      case "broadcast":
        return `${address} is no address of a BMC: it is ${kind}`;
      case "loopback":
        return has(this.#loopback, address) ? undefined : `${address} is the service's own machine ${flag}`;
      case "link-local":
        return has(this.#linkLocal, address) ? undefined : `${address} is link-local ${flag}`;
      case "unicast":
        if (this.#own().includes(address)) {
          return has(this.#single, address)
            ? undefined
            : `${address} is an address of the service's own machine ${flag}`;
        }
        if (this.#networks.length === 0 || has(this.#allowed, address)) return undefined;
        return `${address} is in none of the networks in which BMCs may be ${flag}`;
      default:
        return kind satisfies never;
    }
  }
}

function kindOf(address: string): IpKind {
  const bytes = parseIpv4(address) ?? parseIpv6(address) ?? new Uint8Array(4);
  // Reserved, RFC 1112 §4.
  return bytes.length === 4 && (bytes[0] ?? 0) >= 240 ? "broadcast" : ipKind(bytes);
}

function listOf(networks: readonly Network[]): BlockList {
  const list = new BlockList();
  for (const { address, prefix } of networks) list.addSubnet(address, prefix, familyOf(address));
  return list;
}

const has = (list: BlockList, address: string) => list.check(address, familyOf(address));
const familyOf = (address: string) => (isIP(address) === 4 ? "ipv4" : "ipv6");

/**
 * IPv6 addresses that lead to an IPv4 one: how they begin, in hexadecimal, and at which byte it stands. Local NAT64 with a shorter
 * prefix has zeros there, and is refused.
 */
const roadsToIpv4 = [
  { name: "mapped, RFC 4291 §2.5.5.2", begins: "00000000000000000000ffff", at: 12 },
  { name: "compatible, RFC 4291 §2.5.5.1", begins: "000000000000000000000000", at: 12 },
  { name: "translated, RFC 2765 §2.1", begins: "0000000000000000ffff0000", at: 12 },
  { name: "NAT64, RFC 6052 §2.1", begins: "0064ff9b0000000000000000", at: 12 },
  { name: "local NAT64, RFC 8215", begins: "0064ff9b0001", at: 12 },
  { name: "6to4, RFC 3056 §2", begins: "2002", at: 2 },
] as const;
/** Teredo: the server's address, and that of the client with all bits turned over. RFC 4380 §4. */
const teredo = { begins: "20010000", serverAt: 4, clientAt: 12 } as const;

/** The address in its one form, or the IPv4 addresses to which it leads. */
function whereItLeads(address: string): readonly string[] {
  const bytes = address.includes(":") ? parseIpv6(address) : undefined;
  if (bytes === undefined) return [address];
  const ipv4At = (at: number, mask = 0) => formatIpv4(bytes.slice(at, at + 4).map((byte) => byte ^ mask));
  const hex = Buffer.from(bytes).toString("hex");
  if (hex.startsWith(teredo.begins)) return [ipv4At(teredo.serverAt), ipv4At(teredo.clientAt, 0xff)];
  const road = roadsToIpv4.find(({ begins }) => hex.startsWith(begins));
  // "::" and "::1" look as if they led somewhere.
  return road === undefined || ipKind(bytes) !== "unicast" ? [formatIpv6(bytes)] : [ipv4At(road.at)];
}

function rememberedOwn(): () => readonly string[] {
  let told: { readonly addresses: readonly string[]; readonly at: number } | undefined;
  return () => {
    const now = performance.now();
    if (told === undefined || now - told.at > ownForMs) {
      const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
      told = { addresses: all.map(({ address }) => address), at: now };
    }
    return told.addresses;
  };
}
