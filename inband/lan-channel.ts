import { lanChannelNumbers } from "../ipmi/channel.ts";
import { getChannelInfo } from "../ipmi/commands/get-channel-info.ts";
import { CompletionCode } from "../ipmi/completion-code.ts";
import { CompletionCodeError } from "../ipmi/errors.ts";
import { ipKind, parseIpv4 } from "../ipmi/ip.ts";
import { ipAddress, macAddress } from "../ipmi/lan-parameters.ts";
import { macProblem, parseMac } from "../ipmi/mac.ts";
import { type Conversation, impatient, sendPatiently } from "./conversation.ts";
import { readIpv6Addresses } from "./ipv6-addresses.ts";
import { isRefusal, readParameter, refusalText } from "./read-parameter.ts";

/** One channel of the BMC with an Ethernet behind it. */
export interface SeenChannel {
  /** 1 to 11. */
  readonly channel: number;
  /** Lower case with colons; undefined if it could not be read or is none (zero, broadcast, multicast). */
  readonly mac?: string;
  /** Dotted form; undefined if it could not be read or can be nobody's (0.0.0.0, link-local). */
  readonly ipv4Address?: string;
  /** Why this channel was elected or not, for people. */
  readonly remark: string;
}

/** The channel through which the BMC is reached from remote. */
export interface LanChannel {
  readonly channel: number;
  readonly mac: string;
  readonly ipv4Address?: string;
  /** Every channel that was seen, this one included. */
  readonly seen: readonly SeenChannel[];
  /** What an operator should know, one sentence each. */
  readonly findings: readonly string[];
}

/** The BMC has no channel through which it could be reached from remote. */
export class NoLanChannelError extends Error {
  override readonly name = "NoLanChannelError";
  readonly code = "no-lan-channel";
  readonly seen: readonly SeenChannel[];

  constructor(seen: readonly SeenChannel[], findings: readonly string[]) {
    const channels = seen.map(({ channel, remark }) => `channel ${channel}: ${remark}`);
    const reasons = [...channels, ...findings].join("; ");
    super(
      `the BMC has no LAN channel with a MAC address (${reasons === "" ? "channels 1 to 11 are no LAN" : reasons}). ` +
        "If it has just started, run again; else enable its network port.",
    );
    this.seen = seen;
  }
}

/** The larger, the better a channel serves. */
const rank = { macAndIpv4: 3, macAndIpv6: 2, macOnly: 1, none: 0 } as const;

interface Candidate extends SeenChannel {
  rank: number;
}

/**
 * Elects the LAN channel: the first with a MAC and an IPv4 address; else with a MAC and a global IPv6 address; else with a MAC.
 * Asks no further channel once the best is found: each costs time. Where Get Channel Info is not supported (Facebook's
 * OpenBMC), a channel is one if it has a MAC address.
 * @throws NoLanChannelError naming what was seen; TransportError
 */
export async function findLanChannel(conversation: Conversation): Promise<LanChannel> {
  const seen: Candidate[] = [];
  const findings: string[] = [];
  let infoSupported = true;
  for (const channel of lanChannelNumbers) {
    if (infoSupported) {
      const kind = await channelKind(conversation, channel, findings);
      if (kind === "other") continue;
      if (kind === "unsupported") infoSupported = false;
    }
    const candidate = await look(conversation, channel, infoSupported);
    if (candidate === undefined) continue;
    seen.push(candidate);
    if (candidate.rank === rank.macAndIpv4) return elect(candidate, seen, findings);
  }
  return elect(await bestWithoutIpv4(conversation, seen), seen, findings);
}

async function channelKind(
  conversation: Conversation,
  channel: number,
  findings: string[],
): Promise<"lan" | "other" | "unsupported"> {
  try {
    const info = await sendPatiently(conversation, getChannelInfo, { channelNumber: channel }, impatient);
    return info.mediumType === "lan8023" || info.mediumType === "otherLan" ? "lan" : "other";
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const code = error instanceof CompletionCodeError ? error.completionCode : undefined;
    if (code !== undefined && unsupported.has(code)) return "unsupported";
    if (code === undefined || !noSuchChannel.has(code)) {
      findings.push(`channel ${channel} could not be asked what it is: ${refusalText(error)}`);
    }
    return "other";
  }
}

/** D4h too: an allowlist in the BMC may leave the command out and still let LAN parameters be read. */
const unsupported: ReadonlySet<number> = new Set([
  CompletionCode.invalidCommand,
  CompletionCode.invalidForLun,
  CompletionCode.insufficientPrivilege,
]);

/** 82h is "channel not supported" of Get Channel Info. */
const noSuchChannel: ReadonlySet<number> = new Set([
  0x82,
  CompletionCode.parameterOutOfRange,
  CompletionCode.notPresent,
  CompletionCode.invalidDataField,
  CompletionCode.destinationUnavailable,
]);

/** @param certain whether it is known to be a LAN; else it counts only if it has a MAC address */
async function look(conversation: Conversation, channel: number, certain: boolean): Promise<Candidate | undefined> {
  const macRead = await readParameter(conversation, channel, macAddress);
  if ("refused" in macRead) {
    const remark = `its MAC address cannot be read: ${refusalText(macRead.refused)}`;
    return certain ? { channel, remark, rank: rank.none } : undefined;
  }
  const problem = macProblem(parseMac(macRead.value) ?? new Uint8Array());
  if (problem !== undefined) {
    return certain ? { channel, remark: `its MAC address is none: ${problem}`, rank: rank.none } : undefined;
  }
  const mac = macRead.value;
  const ip = await readParameter(conversation, channel, ipAddress);
  if ("refused" in ip) {
    return { channel, mac, remark: `its IPv4 address cannot be read: ${refusalText(ip.refused)}`, rank: rank.macOnly };
  }
  if (ipKind(parseIpv4(ip.value) ?? new Uint8Array(4)) !== "unicast") {
    return { channel, mac, remark: `its IPv4 address is ${ip.value}`, rank: rank.macOnly };
  }
  return { channel, mac, ipv4Address: ip.value, remark: "", rank: rank.macAndIpv4 };
}

async function bestWithoutIpv4(conversation: Conversation, seen: Candidate[]): Promise<Candidate | undefined> {
  const withMac = seen.filter((each) => each.rank === rank.macOnly);
  // With one candidate IPv6 decides nothing here.
  if (withMac.length < 2) return withMac[0];
  for (const candidate of withMac) {
    const { addresses } = await readIpv6Addresses(conversation, candidate.channel);
    if (addresses.length > 0) return candidate;
  }
  return withMac[0];
}

function elect(elected: Candidate | undefined, seen: readonly Candidate[], findings: readonly string[]): LanChannel {
  const remarked = seen.map(({ rank: _, ...each }) =>
    each.channel === elected?.channel
      ? { ...each, remark: each.remark === "" ? "elected" : `elected, although ${each.remark}` }
      : each,
  );
  if (elected?.mac === undefined) throw new NoLanChannelError(remarked, findings);
  return {
    channel: elected.channel,
    mac: elected.mac,
    ...(elected.ipv4Address === undefined ? {} : { ipv4Address: elected.ipv4Address }),
    seen: remarked,
    findings,
  };
}
