import { send } from "../../../ipmi/command.ts";
import { chassisControl } from "../../../ipmi/commands/chassis-control.ts";
import { chassisIdentify } from "../../../ipmi/commands/chassis-identify.ts";
import { CompletionCode } from "../../../ipmi/completion-code.ts";
import { CompletionCodeError, DecodeError, EncodeError, TransportError } from "../../../ipmi/errors.ts";
import type { Transport } from "../../../ipmi/transport.ts";
import { type LoginPrivilege, SessionError } from "../../../outband-client/lan/index.ts";
import { type ChassisState, IdentifyLed } from "../../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { PowerAction } from "../../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { isLoginRefused } from "../../hand-off/hand-off-error.ts";
import type { ConnectBmc } from "../../reach/connect-bmc.ts";
import { AddressRefusedError } from "../../reach/judged-connect.ts";
import { type Driver, DriverError, type DriverTarget, type LedChange, type PowerChange } from "../driver.ts";
import { readBootOverride, writeBootOverride } from "./boot-override.ts";
import { readChassisState } from "./chassis-state.ts";

export interface IpmiDriverOptions {
  readonly connect: ConnectBmc;
  /** One login, "ok" or the status of its SessionError. */
  readonly onLogin: (result: string) => void;
  /** What the accounts have: a user who asks for more is refused. */
  readonly privilege: LoginPrivilege;
  readonly patience: PowerPatience;
}

/** How long the power may take to be as it was told, ms. */
export interface PowerPatience {
  /** The state is read again until it is as wanted, or until then. */
  readonly settlesMs: number;
  /** Between two readings. */
  readonly pollMs: number;
}

export const defaultPowerPatience: PowerPatience = { settlesMs: 5_000, pollMs: 500 };

/** IPMI over LAN: a short session for each call. */
export function ipmiDriver(options: IpmiDriverOptions): Driver {
  const { connect, onLogin, privilege, patience } = options;

  /** @param acts whether `work` changes something that must not be done twice */
  async function session<T>(
    target: DriverTarget,
    acts: boolean,
    signal: AbortSignal,
    work: (transport: Transport, accepted: () => void) => Promise<T>,
  ): Promise<T> {
    if (target.endpoint === undefined) throw new DriverError(`BMC ${target.mac} has no address`);
    const password = target.account.password.reveal();
    let accepted = false;
    try {
      const login = {
        ...target.endpoint,
        mac: target.mac,
        user: target.account.userName,
        password,
        privilege,
      } as const;
      await using transport = await connect({ ...login, signal });
      onLogin("ok");
      return await work(transport, () => {
        accepted = true;
      });
    } catch (error) {
      if (error instanceof SessionError) onLogin(error.status);
      throw asDriverError(error, accepted, acts);
    } finally {
      password.fill(0);
    }
  }

  return {
    name: "IPMI",
    readChassis: (target, signal) => session(target, false, signal, (bmc) => readChassisState(bmc, signal)),
    setPower: (target, change, signal) =>
      session(target, true, signal, async (bmc, accepted) => {
        await send(bmc, chassisControl, { control: { operation: operations[change] } }, signal);
        accepted();
        return settledPower(bmc, wantedPower(change), signal, patience);
      }),
    readBootOverride: (target, signal) => session(target, false, signal, (bmc) => readBootOverride(bmc, false, signal)),
    setBootOverride: (target, override, signal) =>
      session(target, false, signal, async (bmc, accepted) => {
        await writeBootOverride(bmc, override, signal);
        accepted();
        return readBootOverride(bmc, true, signal);
      }),
    setIdentifyLed: (target, change, signal) =>
      session(target, false, signal, async (bmc, accepted) => {
        await send(bmc, chassisIdentify, identifyRequest(change), signal);
        accepted();
        return readChassisState(bmc, signal);
      }),
  };
}

const operations = {
  [PowerAction.POWER_ACTION_ON]: "powerUp",
  [PowerAction.POWER_ACTION_OFF]: "powerDown",
  [PowerAction.POWER_ACTION_CYCLE]: "powerCycle",
  [PowerAction.POWER_ACTION_RESET]: "hardReset",
} as const satisfies Record<PowerChange, string>;

function wantedPower(change: PowerChange): boolean | undefined {
  switch (change) {
    case PowerAction.POWER_ACTION_ON:
    // It is off for some seconds, and whoever asked is not to take that for the end.
    case PowerAction.POWER_ACTION_CYCLE:
      return true;
    case PowerAction.POWER_ACTION_OFF:
      return false;
    case PowerAction.POWER_ACTION_RESET:
      return undefined;
    default:
      return change satisfies never;
  }
}

/**
 * The state once it is as wanted, or as it is when the time is over: BMCs answer before the power has changed, and some
 * answer with an error while it changes.
 */
async function settledPower(
  bmc: Transport,
  wanted: boolean | undefined,
  signal: AbortSignal,
  { settlesMs, pollMs }: PowerPatience,
): Promise<ChassisState> {
  const end = performance.now() + settlesMs;
  for (;;) {
    const over = performance.now() >= end;
    try {
      const state = await readChassisState(bmc, signal);
      if (wanted === undefined || state.powerOn === wanted || over) return state;
    } catch (error) {
      if (!(error instanceof CompletionCodeError) || over) throw error;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, pollMs);
    await promise;
  }
}

function identifyRequest(change: LedChange) {
  switch (change.state) {
    case IdentifyLed.IDENTIFY_LED_OFF:
      return { identifyIntervalSeconds: 0 };
    case IdentifyLed.IDENTIFY_LED_ON:
      return { identifyIntervalSeconds: 0, force: { forceOn: true } };
    case IdentifyLed.IDENTIFY_LED_TIMED:
      return { identifyIntervalSeconds: change.seconds };
    default:
      return change satisfies never;
  }
}

/** Whether the BMC may have done what it gave no good answer to. */
function isLost(error: unknown): boolean {
  if (error instanceof TransportError) return error.sent === "unknown";
  // "Timeout while processing" and "response could not be provided" say nothing about the command. IPMI 2.0 table 5-2.
  return error instanceof CompletionCodeError && unclearCodes.includes(error.completionCode);
}

const unclearCodes: readonly number[] = [CompletionCode.timeout, CompletionCode.responseNotProvided];

/** What can go wrong between us and a BMC becomes a DriverError; a bug stays what it is. */
function asDriverError(error: unknown, accepted: boolean, acts: boolean): unknown {
  const expected =
    error instanceof SessionError ||
    error instanceof AddressRefusedError ||
    error instanceof CompletionCodeError ||
    error instanceof DecodeError ||
    error instanceof EncodeError ||
    error instanceof TransportError;
  if (!expected) return error;
  if (accepted) {
    const text = `the BMC accepted it, but its state could not be read afterwards: ${error.message}`;
    return new DriverError(text, { mayHaveActed: true, cause: error });
  }
  const lost = acts && isLost(error);
  const text = lost ? `${error.message}; the BMC may have done it: look before you repeat it` : error.message;
  return new DriverError(text, { mayHaveActed: lost, refused: isLoginRefused(error), cause: error });
}
