import { lanChannelNumbers, thisChannel } from "../ipmi/channel.ts";
import { getChannelInfo } from "../ipmi/commands/get-channel-info.ts";
import { CompletionCode } from "../ipmi/completion-code.ts";
import { CompletionCodeError } from "../ipmi/errors.ts";
import { ipAddress, macAddress } from "../ipmi/lan-parameters.ts";
import { macProblem, parseMac } from "../ipmi/mac.ts";
import { awaitAddress } from "./await-address.ts";
import { isClosed } from "./closed-access.ts";
import {
  type Conversation,
  NoAnswerError,
  patientUnlessUnspecified as patience,
  sendPatiently,
} from "./conversation.ts";
import { type Ipv6Addresses, readIpv6Addresses } from "./ipv6-addresses.ts";
import type { Note } from "./note.ts";
import { isRefusal, isUnsupported, type Refusal, readParameter, refusalText } from "./read-parameter.ts";
import { isUsableIpv4 } from "./usable-address.ts";

/** One channel of the BMC with an Ethernet behind it. */
export interface SeenChannel {
  /** 1 to 11. */
  readonly channel: number;
  /** Lower case with colons; undefined if it could not be read or is none (zero, broadcast, multicast). */
  readonly mac?: string;
  /** Dotted form; undefined if it could not be read or can be nobody's (0.0.0.0, link-local, 16.1.15.1). */
  readonly ipv4Address?: string;
  /** Why this channel was elected or not, for people. */
  readonly remark: string;
}

/** The channel through which the BMC is reached from remote. */
export interface LanChannel {
  readonly channel: number;
  readonly mac: string;
  readonly ipv4Address?: string;
  /** Left out if it has an IPv4 address: then nobody asked. */
  readonly ipv6?: Ipv6Addresses;
  /** Every channel that was seen, this one included. */
  readonly seen: readonly SeenChannel[];
  /** Channels whose MAC address the BMC neither told nor refused for good: it was busy, silent or garbled. */
  readonly unanswered: readonly number[];
  /** What an operator should know, one sentence each. */
  readonly findings: readonly string[];
}

/** The BMC has no channel through which it could be reached from remote. */
export class NoLanChannelError extends Error {
  override readonly name = "NoLanChannelError";
  readonly code = "no-lan-channel";
  readonly seen: readonly SeenChannel[];
  readonly unanswered: readonly number[];
  readonly findings: readonly string[];
  /** How the BMC refused every MAC address that it was asked for, if it did so as one whose in-band access is closed. */
  readonly refusal: CompletionCodeError | undefined;

  constructor({ seen, unanswered, findings, refusal }: Scan) {
    const channels = seen.map(({ channel, remark }) => `channel ${channel}: ${remark}`);
    const reasons = [...channels, ...findings].join("; ");
    super(
      `the BMC has no LAN channel with a MAC address (${reasons === "" ? "channels 1 to 11 are no LAN" : reasons}). ` +
        "If it has just started, run again; else enable its network port.",
    );
    this.seen = seen;
    this.unanswered = unanswered;
    this.findings = findings;
    this.refusal = refusal;
  }
}

export interface FindOptions {
  /** "until found": asks no further channel once one has MAC and IPv4 address, because each costs time. */
  readonly extent: "until found" | "all";
  /** How long to wait for a LAN channel to show up, and for an address, each, in milliseconds; 0: not at all. */
  readonly waitMs: number;
  readonly note: Note;
}

const pauseBetweenScansMs = 5_000;

interface Candidate extends SeenChannel {
  remark: string;
  ipv6?: Ipv6Addresses;
}

interface Scan {
  readonly seen: readonly Candidate[];
  readonly unanswered: readonly number[];
  readonly findings: readonly string[];
  readonly refusal: CompletionCodeError | undefined;
}

/**
 * Elects the LAN channel: the first with a MAC and an IPv4 address; else with a MAC and a global IPv6 address; else with a
 * MAC. Where Get Channel Info is not supported (Facebook's OpenBMC), fails or knows no LAN, a channel is one if it has a MAC
 * address. A BMC that has just started may show no channel or no address yet: both are waited for.
 * @throws NoLanChannelError naming what was seen; TransportError, NotReadyError
 */
export async function findLanChannel(conversation: Conversation, options: FindOptions): Promise<LanChannel> {
  const { seen, unanswered, findings, withMac } = await scanUntilSeen(conversation, options);
  const found =
    withMac.find(({ ipv4Address }) => ipv4Address !== undefined) ??
    (await bestWithoutIpv4(conversation, withMac, options));
  const remarked = seen.map(({ ipv6: _, ...each }) => {
    const elected = each.channel === found.channel;
    if (each.remark === "") return { ...each, remark: elected ? "elected" : `channel ${found.channel} comes first` };
    if (!elected) return each;
    const reachable = found.ipv4Address === undefined && (found.ipv6?.addresses.length ?? 0) > 0;
    return { ...each, remark: `elected${reachable ? " for its IPv6 address" : ""}, although ${each.remark}` };
  });
  const { channel, mac, ipv4Address, ipv6 } = found;
  return {
    channel,
    mac,
    ...(ipv4Address === undefined ? {} : { ipv4Address }),
    ...(ipv6 === undefined ? {} : { ipv6 }),
    seen: remarked,
    unanswered,
    findings,
  };
}

type WithMac = Candidate & { readonly mac: string };

const hasMac = (candidate: Candidate): candidate is WithMac => candidate.mac !== undefined;

interface Found extends Scan {
  readonly withMac: readonly [WithMac, ...WithMac[]];
}

/** Scans until there is a channel with a MAC address. A BMC that refuses everything is not asked again. */
async function scanUntilSeen(conversation: Conversation, { extent, waitMs, note }: FindOptions): Promise<Found> {
  const { clock, signal } = conversation;
  const startedAt = clock.now();
  for (let said = false; ; said = true) {
    const scanned = await scan(conversation, extent);
    const [first, ...others] = scanned.seen.filter(hasMac);
    if (first !== undefined) return { ...scanned, withMac: [first, ...others] };
    const isOver = clock.now() - startedAt + pauseBetweenScansMs > waitMs;
    if (scanned.refusal !== undefined || isOver) throw new NoLanChannelError(scanned);
    if (!said) note(`The BMC shows no LAN channel with a MAC address: looking again for up to ${waitMs / 1000} s.`);
    await clock.sleep(pauseBetweenScansMs, signal);
  }
}

/**
 * What a channel is. "odd": of a medium that the specification does not know; "absent": the BMC says that there is none;
 * "unsupported": it does not know the command.
 */
type ChannelKind = "lan" | "other" | "odd" | "absent" | "unknown" | "unsupported";

/** After so many channels that the BMC did not tell of, it is asked no more what a channel is. */
const mostUntold = 2;

async function scan(conversation: Conversation, extent: FindOptions["extent"]): Promise<Scan> {
  const seen: Candidate[] = [];
  const unanswered: number[] = [];
  const findings: string[] = [];
  const unread = new Map<string, number[]>();
  let refusal: CompletionCodeError | undefined;
  let othersThanRefused = 0;
  /** @returns whether that is enough */
  const take = async (channel: number, kind: ChannelKind): Promise<boolean> => {
    const { refused, ...candidate } = await look(conversation, channel);
    // Of a channel that may not be there C1h says no more than any other code.
    if (isClosed(refused) && !(kind === "absent" && hasCode(refused, CompletionCode.invalidCommand))) refusal = refused;
    else othersThanRefused += 1;
    if (refused !== undefined && !mayBeNoLan(refused) && !isClosed(refused)) unanswered.push(channel);
    if (hasMac(candidate) || kind === "lan") seen.push(candidate);
    else if (refused !== undefined && !mayBeNoLan(refused)) {
      unread.set(candidate.remark, [...(unread.get(candidate.remark) ?? []), channel]);
    }
    return extent === "until found" && candidate.ipv4Address !== undefined;
  };

  const odd: number[] = [];
  const absent: number[] = [];
  let asksWhatItIs = true;
  let untold = 0;
  for (const channel of lanChannelNumbers) {
    const kind = asksWhatItIs ? await channelKind(conversation, channel, findings) : "unsupported";
    if (kind === "unknown") untold += 1;
    // Waiting eleven times for a BMC that answers the command with "busy" for ever takes too long.
    if (kind === "unsupported" || untold === mostUntold) asksWhatItIs = false;
    if (kind === "absent") absent.push(channel);
    if (kind === "odd") odd.push(channel);
    if (kind === "absent" || kind === "other" || kind === "odd") continue;
    if (await take(channel, kind)) break;
  }
  if (!seen.some(hasMac)) {
    for (const channel of odd) if (await take(channel, "odd")) break;
  }
  if (!seen.some(hasMac) && absent.length > 0 && !(await knowsOwnChannel(conversation))) {
    for (const channel of absent) if (await take(channel, "absent")) break;
  }
  for (const [remark, channels] of unread) findings.push(`channel ${channels.join(", ")}: ${remark}`);
  return { seen, unanswered, findings, refusal: othersThanRefused === 0 ? refusal : undefined };
}

/**
 * Whether Get Channel Info tells of the channel that it came by, which is always there. If not, the BMC refuses the command
 * altogether with the code of a channel that is not there.
 */
async function knowsOwnChannel(conversation: Conversation): Promise<boolean> {
  const kind = await channelKind(conversation, thisChannel, []);
  return kind === "lan" || kind === "other";
}

async function channelKind(conversation: Conversation, channel: number, findings: string[]): Promise<ChannelKind> {
  try {
    const info = await sendPatiently(conversation, getChannelInfo, { channelNumber: channel }, patience);
    if (typeof info.mediumType === "number") return "odd";
    return info.mediumType === "lan8023" || info.mediumType === "otherLan" ? "lan" : "other";
  } catch (error) {
    if (!isRefusal(error)) throw error;
    // An allowlist in the BMC may leave the command out and still let LAN parameters be read.
    if (isClosed(error) || hasCode(error, CompletionCode.invalidForLun)) return "unsupported";
    if ([...noSuchChannel].some((code) => hasCode(error, code))) return "absent";
    findings.push(`channel ${channel} could not be asked what it is: ${refusalText(error)}`);
    // Waiting eleven times for no answer takes too long.
    return error instanceof NoAnswerError ? "unsupported" : "unknown";
  }
}

const hasCode = (error: unknown, code: number): boolean =>
  error instanceof CompletionCodeError && error.completionCode === code;

/** 82h is "channel not supported" of Get Channel Info. */
const noSuchChannel: ReadonlySet<number> = new Set([
  0x82,
  CompletionCode.parameterOutOfRange,
  CompletionCode.notPresent,
  CompletionCode.invalidDataField,
  CompletionCode.destinationUnavailable,
]);

/** How BMCs refuse the LAN parameters of a channel that is no LAN. */
const mayBeNoLan = (refusal: Refusal): boolean => isUnsupported(refusal) || hasCode(refusal, CompletionCode.notPresent);

interface Looked extends Candidate {
  /** How the BMC refused the MAC address. */
  readonly refused?: Refusal;
}

async function look(conversation: Conversation, channel: number): Promise<Looked> {
  const macRead = await readParameter(conversation, channel, macAddress, { patience });
  if ("refused" in macRead) {
    const { refused } = macRead;
    return { channel, remark: `its MAC address cannot be read: ${refusalText(refused)}`, refused };
  }
  const problem = macProblem(parseMac(macRead.value) ?? new Uint8Array());
  if (problem !== undefined) return { channel, remark: `its MAC address is none: ${problem}` };
  const mac = macRead.value;
  const ip = await readParameter(conversation, channel, ipAddress, { patience });
  if ("refused" in ip) {
    return { channel, mac, remark: `its IPv4 address cannot be read: ${refusalText(ip.refused)}` };
  }
  if (!isUsableIpv4(ip.value)) return { channel, mac, remark: `its IPv4 address is ${ip.value}` };
  return { channel, mac, ipv4Address: ip.value, remark: "" };
}

/**
 * The first with a global IPv6 address; else the first that gets an IPv4 address in time; else the first that got an IPv6
 * address meanwhile; else the first with a MAC.
 */
async function bestWithoutIpv4(
  conversation: Conversation,
  withMac: readonly [WithMac, ...WithMac[]],
  { waitMs, note }: FindOptions,
): Promise<WithMac> {
  for (const candidate of withMac) {
    candidate.ipv6 = await readIpv6Addresses(conversation, candidate.channel, "without IPv4");
    if (candidate.ipv6.addresses.length > 0) return candidate;
  }
  const channels = withMac.map(({ channel }) => channel);
  const { channels: asking, got } = await awaitAddress(conversation, channels, waitMs, note);
  for (const candidate of withMac) {
    if (!asking.includes(candidate.channel)) continue;
    if (candidate.channel === got?.channel) {
      return Object.assign(candidate, { ipv4Address: got.ipv4Address, remark: "it got its address late" });
    }
    candidate.remark += " and it got none in time";
  }
  if (asking.length === 0) return withMac[0];
  for (const candidate of withMac) {
    // One command where the BMC does not tell that it knows IPv6.
    const ipv6 = await readIpv6Addresses(conversation, candidate.channel, "usual");
    if (ipv6.addresses.length > 0) return Object.assign(candidate, { ipv6 });
  }
  return withMac[0];
}
