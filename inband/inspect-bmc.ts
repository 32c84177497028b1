import { getSystemGuid } from "../ipmi/commands/get-system-guid.ts";
import type { DeviceIdentity } from "../ipmi/device-identity.ts";
import {
  defaultGatewayAddress,
  ipAddressSource,
  type LanParameter,
  primaryRmcpPort,
  subnetMask,
  vlanId,
} from "../ipmi/lan-parameters.ts";
import { type Conversation, impatient, presentMs, sendPatiently } from "./conversation.ts";
import { readIpv6Addresses } from "./ipv6-addresses.ts";
import { findLanChannel, type NoLanChannelError, type SeenChannel } from "./lan-channel.ts";
import type { Note } from "./note.ts";
import { type FruRead, readFru } from "./read-fru.ts";
import { isRefusal, isUnsupported, readParameter, refusalText } from "./read-parameter.ts";
import { findWeakLogins } from "./weak-logins.ts";

/** What a BMC tells of itself. What it did not tell is left out; nothing is guessed but the RMCP port. */
export interface BmcInspection extends DeviceIdentity {
  /** How it was reached: "openipmi:/dev/ipmi0". */
  readonly transport: string;
  /** The elected LAN channel, 1 to 11; 0 if there is none. */
  readonly channel: number;
  /** Its MAC address, lower case with colons; empty if there is no LAN channel. */
  readonly mac: string;
  readonly ipv4Address?: string;
  readonly ipv4Source?: "static" | "dhcp" | "bios" | "other";
  readonly ipv4Mask?: string;
  readonly ipv4Gateway?: string;
  /** 1 to 4094; left out if tagging is off. */
  readonly vlanId?: number;
  /** Global addresses with prefix length. */
  readonly ipv6Addresses: readonly string[];
  /** UDP port of IPMI over LAN; 623 if the BMC does not tell. */
  readonly rmcpPort: number;
  /** System GUID: the 16 bytes as they stand on the wire, hexadecimal. */
  readonly guid?: string;
  readonly fru: FruRead;
  readonly channels: readonly SeenChannel[];
  /** Channels whose MAC address the BMC neither told nor refused for good. Left out if there is none. */
  readonly unansweredChannels?: readonly number[];
  /** What an operator should know, one sentence each. */
  readonly findings: readonly string[];
}

const defaultRmcpPort = 623;

/** For the facts that are nice to have, in milliseconds: a BMC that stalls for 50 s now and then must not cost the run. */
const optionalLimitMs = 60_000;

/** How far an inspection goes: each command costs time, and a run needs no more than one channel with one address. */
export interface InspectOptions {
  /** "needed": up to the first channel with MAC and IPv4 address, IPv6 only where there is no IPv4, no weak logins. */
  readonly extent: "needed" | "all";
  /** How long to wait for a LAN channel to show up, and for an address, each, in milliseconds; 0: not at all. */
  readonly waitMs: number;
  readonly note: Note;
}

/** Boards were seen to need 10 to 20 s for their address after they answer IPMI. */
export const addressWaitMs = 30_000;

/**
 * Reads all there is to know of a BMC, changing nothing: about 10 commands and one for each 32 bytes of FRU.
 * @param device from wait-until-ready.ts
 * @throws NoLanChannelError, TransportError, NotReadyError
 */
export async function inspectBmc(
  conversation: Conversation,
  device: DeviceIdentity,
  { extent, waitMs, note }: InspectOptions,
): Promise<BmcInspection> {
  const lan = await findLanChannel(conversation, { extent: extent === "all" ? "all" : "until found", waitMs, note });
  const findings = [...lan.findings];
  const until = presentMs(conversation) + optionalLimitMs;

  /** The value of an optional parameter; a refusal that is not "unsupported" is a finding. */
  const ask = async <T>(parameter: LanParameter<T>): Promise<T | undefined> => {
    if (presentMs(conversation) >= until) {
      findings.push(`${parameter.name} was not asked for: the BMC answers too slowly`);
      return undefined;
    }
    const read = await readParameter(conversation, lan.channel, parameter);
    if ("value" in read) return read.value;
    if (!isUnsupported(read.refused)) findings.push(`${parameter.name} cannot be read: ${refusalText(read.refused)}`);
    return undefined;
  };

  const source = await ask(ipAddressSource);
  const mask = await ask(subnetMask);
  const gateway = await ask(defaultGatewayAddress);
  const vlan = await ask(vlanId);
  const port = await ask(primaryRmcpPort);
  const ipv6 =
    lan.ipv6 ??
    (extent === "all" ? await readIpv6Addresses(conversation, lan.channel, "usual") : { addresses: [], findings: [] });
  findings.push(...ipv6.findings);
  if (lan.ipv4Address === undefined && ipv6.addresses.length === 0) {
    findings.push("The BMC has no IP address yet: it cannot be reached from remote.");
  }
  if (extent === "all") findings.push(...(await findWeakLogins(conversation, lan.channel)));
  const guid = await readGuid(conversation, findings);
  const fru = await readFruFor(conversation, findings, until - presentMs(conversation));

  return {
    ...device,
    transport: conversation.transport.name,
    channel: lan.channel,
    mac: lan.mac,
    ...(lan.ipv4Address === undefined ? {} : { ipv4Address: lan.ipv4Address }),
    ...(typeof source === "string" && source !== "unspecified" ? { ipv4Source: source } : {}),
    ...(mask === undefined || mask === "0.0.0.0" ? {} : { ipv4Mask: mask }),
    ...(gateway === undefined || gateway === "0.0.0.0" ? {} : { ipv4Gateway: gateway }),
    ...(vlan?.enabled === true && vlan.id !== 0 ? { vlanId: vlan.id } : {}),
    ipv6Addresses: ipv6.addresses,
    rmcpPort: port === undefined || port === 0 ? defaultRmcpPort : port,
    ...(guid === undefined ? {} : { guid }),
    fru,
    channels: lan.seen,
    ...unansweredChannels(lan),
    findings,
  };
}

const unansweredChannels = ({ unanswered }: Pick<NoLanChannelError, "unanswered">) =>
  unanswered.length === 0 ? {} : { unansweredChannels: unanswered };

/**
 * Reads what a BMC without a LAN channel tells, or one that does not let its LAN be read: system GUID and FRU.
 * @throws TransportError, NotReadyError
 */
export async function inspectWithoutLan(
  conversation: Conversation,
  device: DeviceIdentity,
  lan: Pick<NoLanChannelError, "seen" | "unanswered" | "findings">,
): Promise<BmcInspection> {
  const findings = [...lan.findings];
  const guid = await readGuid(conversation, findings);
  const fru = await readFruFor(conversation, findings, optionalLimitMs);
  const nothing = { channel: 0, mac: "", ipv6Addresses: [], rmcpPort: 0 };
  const told = { ...(guid === undefined ? {} : { guid }), fru, channels: lan.seen, findings };
  return { ...device, transport: conversation.transport.name, ...nothing, ...told, ...unansweredChannels(lan) };
}

async function readFruFor(conversation: Conversation, findings: string[], limitMs: number): Promise<FruRead> {
  if (limitMs <= 0) {
    findings.push("FRU 0 was not asked for: the BMC answers too slowly");
    return { state: "unreadable", reason: "the BMC answers too slowly" };
  }
  const fru = await readFru(conversation, limitMs);
  if (fru.state === "unreadable") findings.push(`FRU 0 cannot be read: ${fru.reason}`);
  return fru;
}

/** C1h (ipmi_sim over KCS) and FFh (OpenBMC whose board never had one) are seen: a finding, no failure. */
async function readGuid(conversation: Conversation, findings: string[]): Promise<string | undefined> {
  try {
    const { guid } = await sendPatiently(conversation, getSystemGuid, {}, impatient);
    if (guid.every((each) => each === 0) || guid.every((each) => each === 0xff)) {
      findings.push("The BMC's system GUID is not set.");
      return undefined;
    }
    return Array.from(guid, (each) => each.toString(16).padStart(2, "0")).join("");
  } catch (error) {
    if (!isRefusal(error)) throw error;
    findings.push(`The BMC tells no system GUID in-band: ${refusalText(error)}`);
    return undefined;
  }
}
