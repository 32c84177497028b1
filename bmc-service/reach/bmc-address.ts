import { formatMac, macProblem, parseMac } from "../../ipmi/mac.ts";
import type { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type Endpoint, formatEndpoint, formatHost, parseEndpoint } from "../endpoint.ts";

/** UDP port of IPMI over LAN unless the BMC told another. IPMI 2.0 §13.1.2. */
const rmcpPort = 623;

/** Where BMCs are that are not at the address they report. */
export type AddressMap = ReadonlyMap<string, Endpoint>;

/**
 * Reads "52:54:00:b1:00:01=127.0.0.1:9001".
 * @throws RangeError that says what is wrong
 */
export function parseAddressEntry(text: string): [mac: string, endpoint: Endpoint] {
  const [macText = "", address, ...more] = text.split("=");
  if (address === undefined || more.length > 0) throw new RangeError(`"${text}" is not MAC=HOST:PORT`);
  const mac = parseMac(macText);
  if (mac === undefined) throw new RangeError(`"${macText}" is no MAC address (six pairs of hexadecimal digits)`);
  const problem = macProblem(mac);
  if (problem !== undefined) throw new RangeError(`"${macText}" cannot be the MAC address of a BMC: ${problem}`);
  const endpoint = parseEndpoint(address);
  if (endpoint === undefined || endpoint.port === 0) {
    throw new RangeError(`"${address}" is no HOST:PORT (an IPv6 address in brackets, port 1 to 65535)`);
  }
  return [formatMac(mac), endpoint];
}

/** Where to reach a BMC: by the map, else as it reported, IPv4 first; undefined if it has no address. */
export function reachableAt(facts: BmcFacts, map: AddressMap): Endpoint | undefined {
  const mapped = map.get(facts.mac);
  if (mapped !== undefined) return mapped;
  const host = facts.ipv4Address || facts.ipv6Addresses[0]?.split("/")[0];
  return host === undefined || host === "" ? undefined : { host, port: facts.rmcpPort || rmcpPort };
}

/** The address as a row shows it: without the port where it is 623. */
export function shownAddress(endpoint: Endpoint): string {
  return endpoint.port === rmcpPort ? formatHost(endpoint.host) : formatEndpoint(endpoint);
}
