import { formatIpv6, parseIpv6 } from "../../ipmi/ip.ts";

/** Bytes of an IPv6 address that say which network it is in; whoever is there chooses the rest. RFC 7421. */
const networkBytes = 8;

/**
 * By what a caller is counted: an IPv4 address, or the network (/64) of an IPv6 address.
 * @param address as the system or grpc-js writes it, also in brackets, with a zone, or IPv4 within IPv6
 */
export function networkOf(address: string): string {
  const bare = address.replace(/^\[(.*)\]$/, "$1").replace(/%.*$/, "");
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1];
  if (mapped !== undefined) return mapped;
  const bytes = parseIpv6(bare);
  if (bytes === undefined) return bare;
  return `${formatIpv6(bytes.map((byte, i) => (i < networkBytes ? byte : 0)))}/64`;
}
