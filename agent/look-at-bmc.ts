import { InbandLockedError } from "../inband/account/inband-locked.ts";
import { isClosed } from "../inband/closed-access.ts";
import { type Conversation, impatient, sendPatiently } from "../inband/conversation.ts";
import { addressWaitMs, type BmcInspection, inspectBmc, inspectWithoutLan } from "../inband/inspect-bmc.ts";
import { NoLanChannelError } from "../inband/lan-channel.ts";
import type { Note } from "../inband/note.ts";
import { isRefusal, refusalText } from "../inband/read-parameter.ts";
import { type KnownBmc, recogniseBmc } from "../inband/recognise-bmc.ts";
import { getUserAccess } from "../ipmi/commands/get-user-access.ts";
import { CompletionCode } from "../ipmi/completion-code.ts";
import type { DeviceIdentity } from "../ipmi/device-identity.ts";
import type { CompletionCodeError } from "../ipmi/errors.ts";
import type { BmcFacts } from "../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { Latencies } from "./latencies.ts";
import { factsToProto, noFacts } from "./to-proto.ts";

/** What was seen of the BMC, in the short look or in the long one. */
export interface SeenBmc {
  readonly facts: BmcFacts;
  /** IPv4, else IPv6 without prefix length; empty if there is none. */
  readonly address: string;
  /** Present if it is the known BMC with our account in its place: nothing is to be changed. */
  readonly recognised?: KnownBmc;
  /** Why nothing more can be done with it once it is reported: it tells no MAC address. */
  readonly failure?: InbandLockedError | NoLanChannelError;
  /** All that the BMC told, if it was read in full. */
  readonly inspection?: BmcInspection;
  /** One sentence each. */
  readonly findings: readonly string[];
}

export interface LookOptions {
  /** How the BMC refused Get Device ID, if it did. */
  readonly refused?: CompletionCodeError | undefined;
  /** How long the BMC took for its commands; for the long look, which has enough of them. */
  readonly latencies?: () => Latencies;
  /** Tells what is waited for. */
  readonly note?: Note;
  /** What was seen of it in a long look before, so that another one is not needed. */
  readonly seen?: SeenBmc | undefined;
}

/**
 * Looks whether the BMC is the known one (3 commands); if it is not, reads all of it.
 * @throws TransportError, NotReadyError
 */
export async function lookAtBmc(
  conversation: Conversation,
  device: DeviceIdentity,
  known: KnownBmc | undefined,
  { refused, latencies, note = () => undefined, seen }: LookOptions = {},
): Promise<SeenBmc> {
  const findings: string[] = [];
  if (known !== undefined) {
    const recognition = await recogniseBmc(conversation, known);
    if (recognition.same !== false) {
      if (recognition.finding !== undefined) findings.push(recognition.finding);
      const told = { ...noFacts, ...device, transport: conversation.transport.name };
      // What could not be read is not reported as if it had been.
      if (recognition.same !== true) return { facts: told, address: "", recognised: known, findings };
      const { mac, channel } = known;
      const { ipv4Address = "" } = recognition;
      return { facts: { ...told, mac, channel, ipv4Address }, address: ipv4Address, recognised: known, findings };
    }
    findings.push(recognition.reason);
  }
  if (seen !== undefined) return { ...seen, findings: [...findings, ...seen.findings] };
  const { bmc, failure } = await inspect(conversation, device, refused, note);
  findings.push(...bmc.findings);
  const [ipv6 = ""] = bmc.ipv6Addresses;
  const facts = factsToProto(bmc, latencies?.());
  const address = bmc.ipv4Address ?? ipv6.replace(/\/.*$/, "");
  return { facts, address, inspection: bmc, findings, ...(failure === undefined ? {} : { failure }) };
}

interface Inspected {
  readonly bmc: BmcInspection;
  readonly failure?: InbandLockedError | NoLanChannelError;
}

async function inspect(
  conversation: Conversation,
  device: DeviceIdentity,
  refused: CompletionCodeError | undefined,
  note: Note,
): Promise<Inspected> {
  const unknown = refused === undefined ? [] : [`The BMC does not tell what it is: ${refusalText(refused)}.`];
  const withUnknown = (bmc: BmcInspection) => ({ ...bmc, findings: [...unknown, ...bmc.findings] });
  try {
    const bmc = await inspectBmc(conversation, device, { extent: "needed", waitMs: addressWaitMs, note });
    return { bmc: withUnknown(bmc) };
  } catch (error) {
    if (!(error instanceof NoLanChannelError)) throw error;
    const lock = refused ?? (await lockBehind(conversation, error));
    const bmc = await inspectWithoutLan(conversation, device, error);
    return { bmc: withUnknown(bmc), failure: lock === undefined ? error : new InbandLockedError(lock) };
  }
}

/**
 * How the BMC showed that it is closed to its machine, if it did. C1h to the LAN parameters may as well mean that it has no
 * LAN: then it is asked for a user, whom every BMC knows.
 */
async function lockBehind(
  conversation: Conversation,
  { refusal }: NoLanChannelError,
): Promise<CompletionCodeError | undefined> {
  if (refusal?.completionCode !== CompletionCode.invalidCommand) return refusal;
  try {
    await sendPatiently(conversation, getUserAccess, { channelNumber: 1, userId: 1 }, impatient);
  } catch (error) {
    if (isClosed(error)) return error;
    if (!isRefusal(error)) throw error;
  }
  return undefined;
}
