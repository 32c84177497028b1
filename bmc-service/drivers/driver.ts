import type { ChassisState, IdentifyLed } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { BootTarget, PowerAction } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { Endpoint } from "../endpoint.ts";
import type { AccountRow } from "../store/store.ts";

/** The BMC on which a driver acts. */
export interface DriverTarget {
  readonly mac: string;
  /** Where IPMI over LAN answers; undefined if the BMC has no address. */
  readonly endpoint: Endpoint | undefined;
  readonly account: AccountRow;
}

/** The boot device override. */
export interface BootOverride {
  readonly target: BootTarget;
  readonly persistent: boolean;
  readonly efi: boolean;
}

/** Something that is done to a power switch. */
export type PowerChange = Exclude<
  PowerAction,
  typeof PowerAction.POWER_ACTION_UNSPECIFIED | typeof PowerAction.UNRECOGNIZED
>;

/** What an identify LED can be told. */
export type LedChange =
  | { readonly state: typeof IdentifyLed.IDENTIFY_LED_OFF | typeof IdentifyLed.IDENTIFY_LED_ON }
  | { readonly state: typeof IdentifyLed.IDENTIFY_LED_TIMED; readonly seconds: number };

/** One way to control a BMC. Every method fails with DriverError and with nothing else but bugs. */
export interface Driver {
  /** As the rows name it: "IPMI". */
  readonly name: string;
  readChassis(target: DriverTarget, signal: AbortSignal): Promise<ChassisState>;
  /** Sends the action once, whatever happens. Resolves with the state as read after the action was accepted. */
  setPower(target: DriverTarget, change: PowerChange, signal: AbortSignal): Promise<ChassisState>;
  readBootOverride(target: DriverTarget, signal: AbortSignal): Promise<BootOverride>;
  /** Resolves with the override as read back. */
  setBootOverride(target: DriverTarget, override: BootOverride, signal: AbortSignal): Promise<BootOverride>;
  /** Resolves with the state as read back. */
  setIdentifyLed(target: DriverTarget, change: LedChange, signal: AbortSignal): Promise<ChassisState>;
}

interface DriverErrorOptions extends ErrorOptions {
  readonly mayHaveActed?: boolean;
  readonly refused?: boolean;
}

/** A driver could not serve. */
export class DriverError extends Error {
  override readonly name = "DriverError";
  readonly code = "driver";
  /** Whether the BMC may have done what it was told: then no other driver is asked to do it again. */
  readonly mayHaveActed: boolean;
  /** Whether the BMC does not let the account in: asking again changes nothing. */
  readonly refused: boolean;

  constructor(message: string, { mayHaveActed = false, refused = false, ...options }: DriverErrorOptions = {}) {
    super(message, options);
    this.mayHaveActed = mayHaveActed;
    this.refused = refused;
  }
}
