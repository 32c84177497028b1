import { isIP } from "node:net";
import { ipKind, parseIpv4, parseIpv6 } from "../../ipmi/ip.ts";
import { formatMac, macProblem, parseMac } from "../../ipmi/mac.ts";
import type { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type Endpoint, parseEndpoint } from "../endpoint.ts";
import type { BmcRow } from "../store/store.ts";
import { rmcpPort, toldEndpoint } from "./told-endpoint.ts";

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

/**
 * Reads where an operator says that a BMC is: "10.0.0.8", "bmc7.example.org:9001", "2001:db8::7", "[2001:db8::7]:623".
 * @throws RangeError that says what is wrong
 */
export function parseGivenAddress(text: string): Endpoint {
  const problem = (what: string) => new RangeError(`${JSON.stringify(text.slice(0, 100))} ${what}`);
  const bare = text.replace(/^\[(.*)\]$/s, "$1");
  const isBare = isIP(bare) !== 0 || !text.includes(":");
  const endpoint = isBare ? { host: bare, port: rmcpPort } : parseEndpoint(text);
  if (endpoint === undefined || endpoint.port === 0) {
    throw problem("is no HOST or HOST:PORT (an IPv6 address with a port in brackets, port 1 to 65535)");
  }
  const { host } = endpoint;
  const ip = parseIpv4(host) ?? parseIpv6(host);
  if (ip === undefined && !isHostName(host)) throw problem("is neither an IP address nor a host name");
  const kind = ip === undefined ? "unicast" : ipKind(ip);
  if (kind === "unspecified" || kind === "multicast" || kind === "broadcast") {
    throw problem(`cannot be the address of a BMC: it is ${kind}`);
  }
  return endpoint;
}

/** RFC 1123 §2.1. Digits and dots alone are a mistyped address. */
function isHostName(text: string): boolean {
  const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
  return text.length <= 253 && !/^[\d.]+$/.test(text) && text.split(".").every((each) => label.test(each));
}

/** What tells where a BMC is. */
export interface Located extends Pick<BmcRow, "mac" | "givenAddress"> {
  readonly facts: Pick<BmcFacts, "ipv4Address" | "ipv6Addresses" | "rmcpPort"> | undefined;
}

/** Where to reach a BMC: by the map, else where an operator said, else as it reported. Undefined if it has no address. */
export function reachableAt({ mac, givenAddress, facts }: Located, map: AddressMap): Endpoint | undefined {
  const told = map.get(mac) ?? parseEndpoint(givenAddress);
  if (told !== undefined || facts === undefined) return told;
  return toldEndpoint(facts);
}
