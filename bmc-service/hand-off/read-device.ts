import { send } from "../../ipmi/command.ts";
import { getDeviceId } from "../../ipmi/commands/get-device-id.ts";
import { type DeviceIdentity, deviceIdentity } from "../../ipmi/device-identity.ts";
import { CompletionCodeError, DecodeError, TransportError } from "../../ipmi/errors.ts";
import type { Transport } from "../../ipmi/transport.ts";

/**
 * Which kind of BMC it is and with which firmware, from remote: an agent that has proved nothing in this boot cannot change it.
 * @returns undefined if the BMC does not tell, or is about to change its firmware
 * @throws the reason of `signal`
 */
export async function readDevice(session: Transport, signal: AbortSignal): Promise<DeviceIdentity | undefined> {
  try {
    const response = await send(session, getDeviceId, {}, signal);
    return response.firmware.deviceAvailable ? deviceIdentity(response) : undefined;
  } catch (error) {
    signal.throwIfAborted();
    const untold = [CompletionCodeError, DecodeError, TransportError].some((kind) => error instanceof kind);
    if (!untold) throw error;
    return undefined;
  }
}
