import { lanChannelNumbers } from "../../ipmi/channel.ts";
import { send } from "../../ipmi/command.ts";
import { getChannelInfo } from "../../ipmi/commands/get-channel-info.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { ipAddress, type LanParameter, macAddress, readLanParameter } from "../../ipmi/lan-parameters.ts";
import { macProblem, parseMac } from "../../ipmi/mac.ts";
import type { Transport } from "../../ipmi/transport.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { FoundLan } from "../store/store.ts";
import { HandOffError, isBusy } from "./hand-off-error.ts";

/** "This channel" of the session. IPMI 2.0 §6.3. */
const thisChannel = 0x0e;

/**
 * The LAN channel through which a session came, with its MAC address: by Get Channel Info of "this channel", where that is
 * not known the channel that has the address in use, else the first one that has a MAC address. IPMI 2.0 §22.24, §23.2.
 * Changes nothing.
 * @param host as the service reached it
 * @throws HandOffError if no channel tells a MAC address, and the errors of `send`
 */
export async function findLan(session: Transport, host: string, signal: AbortSignal): Promise<FoundLan> {
  const own = await unlessRefused(() => send(session, getChannelInfo, { channelNumber: thisChannel }, signal));
  const number = own?.channelNumber ?? 0;
  if (number >= 1 && number <= 11) {
    const mac = await macOf(session, number, signal);
    if (mac !== undefined) return { channel: number, mac };
  }
  let first: FoundLan | undefined;
  for (const channel of lanChannelNumbers) {
    const mac = await macOf(session, channel, signal);
    if (mac === undefined) continue;
    if ((await read(session, channel, ipAddress, signal)) === host) return { channel, mac };
    first ??= { channel, mac };
  }
  if (first !== undefined) return first;
  const reason = `${session.name}: no LAN channel of the BMC there tells a MAC address, without which it has no name here`;
  throw new HandOffError(FailureKind.FAILURE_KIND_PROTOCOL, reason);
}

async function macOf(session: Transport, channel: number, signal: AbortSignal): Promise<string | undefined> {
  const mac = await read(session, channel, macAddress, signal);
  return mac === undefined || macProblem(parseMac(mac) ?? new Uint8Array()) !== undefined ? undefined : mac;
}

function read<T>(session: Transport, channel: number, parameter: LanParameter<T>, signal: AbortSignal) {
  return unlessRefused(() => readLanParameter(session, channel, parameter, signal));
}

/** Undefined if the BMC refuses for good; an answer that it is busy stays an error. */
async function unlessRefused<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof CompletionCodeError) || isBusy(error)) throw error;
    return undefined;
  }
}
