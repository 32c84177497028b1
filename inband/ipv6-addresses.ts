import {
  amiIpv6Address,
  amiIpv6PrefixLength,
  ipv6DynamicAddress,
  ipv6Ipv4AddressingEnables,
  ipv6Ipv4Support,
  ipv6StaticAddress,
  ipv6Status,
} from "../ipmi/lan-parameters.ts";
import type { Conversation } from "./conversation.ts";
import { isUnsupported, readParameter, refusalText } from "./read-parameter.ts";
import { isUsableIpv6 } from "./usable-address.ts";

/** More addresses are not looked at: each costs a command. */
const mostAddresses = 4;

export interface Ipv6Addresses {
  /** Global addresses in use with prefix length ("2001:db8::7/64"), those got from the network first. */
  readonly addresses: readonly string[];
  /** What an operator should know, one sentence each. */
  readonly findings: readonly string[];
}

/**
 * The IPv6 addresses of a channel: LAN parameters 50, 51, 55, 59 and 56 (IPMI 2.0 §23.2). One command where the BMC knows
 * no IPv6, which most older ones say with 80h or C9h.
 * @param effort "without IPv4": the channel has no other address, so that a BMC which does not know parameter 50 is
 *   asked for the others all the same, and at last for AMI's own
 * @throws TransportError, NotReadyError
 */
export async function readIpv6Addresses(
  conversation: Conversation,
  channel: number,
  effort: "usual" | "without IPv4",
): Promise<Ipv6Addresses> {
  const none = (findings: readonly string[] = []): Ipv6Addresses => ({ addresses: [], findings });
  const support = await readParameter(conversation, channel, ipv6Ipv4Support);
  if ("value" in support) {
    if (!support.value.ipv6Only && !support.value.ipv6AndIpv4) return none();
  } else if (!isUnsupported(support.refused)) {
    return none([`IPv6 support cannot be read: ${refusalText(support.refused)}`]);
  } else if (effort === "usual") return none();

  const enables = await readParameter(conversation, channel, ipv6Ipv4AddressingEnables);
  if ("value" in enables) {
    if (enables.value === "ipv4Only") return none();
  } else if ("refused" in support) return readAmiAddress(conversation, channel);

  const status = await readParameter(conversation, channel, ipv6Status);
  if ("refused" in status && !isUnsupported(status.refused)) {
    return none([`IPv6 status cannot be read: ${refusalText(status.refused)}`]);
  }
  const counts = "value" in status ? status.value : undefined;
  const addresses: string[] = [];
  const findings: string[] = [];
  for (const [parameter, count = mostAddresses] of [
    [ipv6DynamicAddress, counts?.dynamicAddressMax],
    [ipv6StaticAddress, counts?.staticAddressMax],
  ] as const) {
    for (let set = 0; set < Math.min(count, mostAddresses); set += 1) {
      const read = await readParameter(conversation, channel, parameter, { setSelector: set });
      if ("refused" in read) {
        if (!isUnsupported(read.refused)) {
          findings.push(`${parameter.name} ${set} cannot be read: ${refusalText(read.refused)}`);
        }
        break;
      }
      const { address, prefixLength, status: state } = read.value;
      // The sets are mostly filled in order, and each costs a command: the first empty one is taken for the end, unless this
      // would be the only address (an operator may have filled the second one).
      if (address === "::" && (effort === "usual" || addresses.length > 0)) break;
      if (isUsableIpv6(address) && state === "active") addresses.push(`${address}/${possible(prefixLength)}`);
    }
  }
  return { addresses, findings };
}

/** AMI MegaRAC of before IPMI 2.0 revision 1.1, and the boards built on it, have parameters of their own. */
async function readAmiAddress(conversation: Conversation, channel: number): Promise<Ipv6Addresses> {
  const address = await readParameter(conversation, channel, amiIpv6Address);
  if ("refused" in address || !isUsableIpv6(address.value)) return { addresses: [], findings: [] };
  const prefix = await readParameter(conversation, channel, amiIpv6PrefixLength);
  const length = "value" in prefix ? prefix.value : 0;
  return { addresses: [`${address.value}/${possible(length)}`], findings: [] };
}

/** No length is above 128; 255 is what "not set" looks like. Then it is the length that nearly all networks have. */
const possible = (prefixLength: number): number => (prefixLength >= 1 && prefixLength <= 128 ? prefixLength : 64);
