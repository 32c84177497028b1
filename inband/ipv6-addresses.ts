import { ipKind, parseIpv6 } from "../ipmi/ip.ts";
import {
  ipv6DynamicAddress,
  ipv6Ipv4AddressingEnables,
  ipv6Ipv4Support,
  ipv6StaticAddress,
  ipv6Status,
} from "../ipmi/lan-parameters.ts";
import type { Conversation } from "./conversation.ts";
import { isUnsupported, readParameter, refusalText } from "./read-parameter.ts";

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
 * @throws TransportError
 */
export async function readIpv6Addresses(conversation: Conversation, channel: number): Promise<Ipv6Addresses> {
  const none = (findings: readonly string[] = []): Ipv6Addresses => ({ addresses: [], findings });
  const support = await readParameter(conversation, channel, ipv6Ipv4Support);
  if ("refused" in support) {
    return none(isUnsupported(support.refused) ? [] : [`IPv6 support cannot be read: ${refusalText(support.refused)}`]);
  }
  if (!support.value.ipv6Only && !support.value.ipv6AndIpv4) return none();
  const enables = await readParameter(conversation, channel, ipv6Ipv4AddressingEnables);
  if ("value" in enables && enables.value === "ipv4Only") return none();
  const status = await readParameter(conversation, channel, ipv6Status);
  if ("refused" in status) return none([`IPv6 status cannot be read: ${refusalText(status.refused)}`]);

  const addresses: string[] = [];
  const findings: string[] = [];
  for (const [parameter, count] of [
    [ipv6DynamicAddress, status.value.dynamicAddressMax],
    [ipv6StaticAddress, status.value.staticAddressMax],
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
      const kind = ipKind(parseIpv6(address) ?? new Uint8Array(16));
      // The sets are filled in order: the first empty one is taken for the end, each further one would cost a command.
      if (kind === "unspecified") break;
      if (kind === "unicast" && state === "active") addresses.push(`${address}/${prefixLength}`);
    }
  }
  return { addresses, findings };
}
