import { ipKind, parseIpv4, parseIpv6 } from "../../ipmi/ip.ts";
import type { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type Endpoint, formatEndpoint, formatHost } from "../endpoint.ts";

/** UDP port of IPMI over LAN unless the BMC told another. IPMI 2.0 §13.1.2. */
export const rmcpPort = 623;

/**
 * Where a BMC is, as it was reported: IPv4 first, but a link-local address last: a BMC without a lease has one. The service goes
 * there, and shows nothing else. Undefined if it told no address.
 */
export function toldEndpoint({
  ipv4Address,
  ipv6Addresses,
  rmcpPort: port,
}: Pick<BmcFacts, "ipv4Address" | "ipv6Addresses" | "rmcpPort">): Endpoint | undefined {
  const hosts = [ipv4Address, ...ipv6Addresses.map((each) => each.replace(/\/.*$/, ""))].filter((each) => each !== "");
  const host = hosts.find((each) => !isLinkLocal(each)) ?? hosts[0];
  return host === undefined ? undefined : { host, port: port || rmcpPort };
}

function isLinkLocal(address: string): boolean {
  const bytes = parseIpv4(address) ?? parseIpv6(address);
  return bytes !== undefined && ipKind(bytes) === "link-local";
}

/** The address as a row shows it: without the port where it is 623. */
export function shownAddress(endpoint: Endpoint): string {
  return endpoint.port === rmcpPort ? formatHost(endpoint.host) : formatEndpoint(endpoint);
}
