import { ipKind, parseIpv4, parseIpv6 } from "../ipmi/ip.ts";

/** What some BMCs tell that have no address: MAAS refuses it by this name, too. */
const filler = "16.1.15.1";

/** Whether a BMC can be reached at an IPv4 address: not 0.0.0.0, loopback, link-local, multicast or a filler. */
export function isUsableIpv4(text: string): boolean {
  return text !== filler && ipKind(parseIpv4(text) ?? new Uint8Array(4)) === "unicast";
}

/** Whether a BMC can be reached from afar at an IPv6 address; all FFh is multicast. */
export function isUsableIpv6(text: string): boolean {
  return ipKind(parseIpv6(text) ?? new Uint8Array(16)) === "unicast";
}
