import { BlockList } from "node:net";
import type { Bound } from "./bring-up.ts";
import type { Lease } from "./dhcp-client.ts";
import type { Route } from "./dhcp-message.ts";

/** What an interface gets besides its addresses. */
export interface NetworkValues {
  /** Of IPv4, 0 to 32. */
  readonly prefixLength: number;
  /** Of IPv4. */
  readonly routes: readonly Route[];
  readonly mtu: number | undefined;
  readonly hostName: string | undefined;
  readonly dns: readonly string[];
  readonly domain: string | undefined;
  readonly search: readonly string[];
}

/** As in the kernel: what `ip=` gives comes before what a server tells, and its DNS servers before the server's. */
export function networkValues({ lease, ipv6, ip }: Pick<Bound, "lease" | "ipv6" | "ip">): NetworkValues {
  const gateway = lease === undefined ? undefined : ip?.gateway;
  const told = lease?.routes ?? [];
  const byHand = gateway === undefined ? [] : [{ destination: "0.0.0.0", prefixLength: 0, gateway }];
  return {
    prefixLength: ip?.prefixLength ?? lease?.prefixLength ?? 0,
    routes: [...told.filter(({ prefixLength }) => prefixLength > 0 || gateway === undefined), ...byHand],
    mtu: ip?.mtu ?? lease?.mtu,
    hostName: ip?.hostName ?? lease?.hostName,
    dns: [...new Set([...(ip?.dns ?? []), ...(lease?.dns ?? []), ...(ipv6?.dns ?? [])])],
    domain: lease?.domain,
    search: [...(lease?.search ?? []), ...(ipv6?.search ?? [])],
  };
}

/** Whether the kernel will find a way to an address of IPv4: in the interface's own network, or by a gateway. */
export function leadsTo(values: NetworkValues, { address }: Pick<Lease, "address">, to: string): boolean {
  const ways = new BlockList();
  ways.addSubnet("127.0.0.0", 8);
  ways.addSubnet(address, values.prefixLength);
  for (const { destination, prefixLength } of values.routes) ways.addSubnet(destination, prefixLength);
  return ways.check(to);
}
