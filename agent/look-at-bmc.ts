import type { Conversation } from "../inband/conversation.ts";
import { inspectBmc } from "../inband/inspect-bmc.ts";
import { type KnownBmc, recogniseBmc } from "../inband/recognise-bmc.ts";
import type { DeviceIdentity } from "../inband/wait-until-ready.ts";
import type { BmcFacts } from "../proto/gen/metalstack/bmc/v1/bmc.ts";
import { factsToProto, noFacts } from "./to-proto.ts";

/** What was seen of the BMC, in the short look or in the long one. */
export interface SeenBmc {
  readonly facts: BmcFacts;
  /** IPv4, else IPv6 without prefix length; empty if there is none. */
  readonly address: string;
  /** Present if it is the known BMC with our account in its place: nothing is to be changed. */
  readonly recognised?: KnownBmc;
  /** One sentence each. */
  readonly findings: readonly string[];
}

/**
 * Looks whether the BMC is the known one (3 commands); if it is not, reads all of it.
 * @throws NoLanChannelError, TransportError
 */
export async function lookAtBmc(
  conversation: Conversation,
  device: DeviceIdentity,
  known: KnownBmc | undefined,
): Promise<SeenBmc> {
  const findings: string[] = [];
  if (known !== undefined) {
    const recognition = await recogniseBmc(conversation, known);
    if (recognition.same) {
      const { ipv4Address = "" } = recognition;
      const { mac, channel } = known;
      const facts = { ...noFacts, ...device, transport: conversation.transport.name, mac, channel, ipv4Address };
      return { facts, address: ipv4Address, recognised: known, findings };
    }
    findings.push(recognition.reason);
  }
  const bmc = await inspectBmc(conversation, device, "without IPv4");
  findings.push(...bmc.findings);
  const [ipv6 = ""] = bmc.ipv6Addresses;
  return { facts: factsToProto(bmc), address: bmc.ipv4Address ?? ipv6.replace(/\/.*$/, ""), findings };
}
