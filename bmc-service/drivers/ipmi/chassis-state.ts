import { send } from "../../../ipmi/command.ts";
import { getChassisStatus } from "../../../ipmi/commands/get-chassis-status.ts";
import type { Transport } from "../../../ipmi/transport.ts";
import { type ChassisState, IdentifyLed } from "../../../proto/gen/metalstack/bmc/v1/bmc.ts";

/**
 * Get Chassis Status in the words of the contract. IPMI 2.0 §28.2.
 * @throws CompletionCodeError, DecodeError, TransportError
 */
export async function readChassisState(transport: Transport, signal: AbortSignal): Promise<ChassisState> {
  const status = await send(transport, getChassisStatus, {}, signal);
  const { identifySupported, identifyState } = status.miscChassisState;
  return {
    powerOn: status.currentPowerState.powerOn,
    identifyLed: identifySupported ? ledOf(identifyState) : IdentifyLed.IDENTIFY_LED_UNSPECIFIED,
    readAt: new Date(),
  };
}

function ledOf(state: "off" | "timedOn" | "indefiniteOn" | "reserved" | number): IdentifyLed {
  switch (state) {
    case "off":
      return IdentifyLed.IDENTIFY_LED_OFF;
    case "timedOn":
      return IdentifyLed.IDENTIFY_LED_TIMED;
    case "indefiniteOn":
      return IdentifyLed.IDENTIFY_LED_ON;
    default:
      return IdentifyLed.IDENTIFY_LED_UNSPECIFIED;
  }
}
