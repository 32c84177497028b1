import { byte, decode, encode, type Field, flag, inByte, nameOrNumber, struct, uint } from "./codec.ts";
import { send } from "./command.ts";
import { getSystemBootOptions } from "./commands/get-system-boot-options.ts";
import { setSystemBootOptions } from "./commands/set-system-boot-options.ts";
import { DecodeError } from "./errors.ts";
import type { Transport } from "./transport.ts";

/** One boot option parameter. IPMI 2.0 §28.13, table 28-14. */
export interface BootOption<T> {
  readonly name: string;
  readonly selector: number;
  /** @throws DecodeError */
  decode(data: Uint8Array): T;
  /** @throws EncodeError */
  encode(value: T): Uint8Array;
}

function bootOption<T>(selector: number, name: string, field: Field<T>): BootOption<T> {
  const what = `boot option ${selector} (${name})`;
  return {
    name,
    selector,
    decode: (data) => decode(field, data, what, "ignored"),
    encode: (value) => encode(field, value, what),
  };
}

/** Set In Progress: taken before a change of several parameters, given back after it. Optional: 80h is common. */
export const setInProgress = bootOption(
  0,
  "Set In Progress",
  inByte(nameOrNumber({ setComplete: 0, setInProgress: 1, commitWrite: 2 }, 1, 0)),
);

/**
 * BMC Boot Flag Valid Bit Clearing. By default the BMC forgets the boot flags in each of these cases; true keeps them,
 * so that a one-time boot target survives a reset that comes before it is used.
 */
export const bootFlagValidBitClearing = bootOption(
  3,
  "BMC Boot Flag Valid Bit Clearing",
  byte({
    keepOnPefReset: flag(4),
    keepWithoutChassisControlFor60Seconds: flag(3),
    keepOnWatchdogTimeout: flag(2),
    keepOnResetButton: flag(1),
    keepOnPowerButton: flag(0),
  }),
);

const parties = byte({
  oem: flag(4),
  serviceSoftware: flag(3),
  osOrServicePartition: flag(2),
  osLoader: flag(1),
  biosOrPost: flag(0),
});

/** The three reserved bits of the acknowledge data are the only ones that are written as 1. */
const pendingParties: typeof parties = {
  read: (from) => parties.read(from),
  write(value, to) {
    const [data = 0] = encode(parties, value, "boot info acknowledge");
    to.byte(0xe0 | data);
  },
};

/**
 * Boot Info Acknowledge: which parties have not handled the boot information yet. The one who starts a boot makes it
 * fresh for everybody with all flags of both true; `writeMask` says which flags are changed, and reads as 0.
 */
export const bootInfoAcknowledge = bootOption(
  4,
  "Boot Info Acknowledge",
  struct({
    writeMask: parties,
    /** 1b = has not handled it, 0b = has. */
    notHandledBy: pendingParties,
  }),
);

/** Boot device selectors of the boot flags. */
export const bootDevices = {
  noOverride: 0,
  pxe: 1,
  hardDrive: 2,
  hardDriveSafeMode: 3,
  diagnosticPartition: 4,
  cdDvd: 5,
  biosSetup: 6,
  remoteRemovableMedia: 7,
  remoteCdDvd: 8,
  primaryRemoteMedia: 9,
  remoteHardDrive: 11,
  primaryRemovableMedia: 15,
} as const;

export type BootDevice = keyof typeof bootDevices;

/** Boot Flags: what the machine boots from next. Valid once unless `persistent`. */
export const bootFlags = bootOption(
  5,
  "Boot Flags",
  struct({
    boot: byte({
      /** False: the BIOS ignores all of it. */
      valid: flag(7),
      /** For all boots to come; false is for the next one only. */
      persistent: flag(6),
      biosBootType: nameOrNumber({ legacy: 0, efi: 1 }, 5, 5),
    }),
    device: byte({
      clearCmos: flag(7),
      lockKeyboard: flag(6),
      selector: nameOrNumber(bootDevices, 5, 2),
      blankScreen: flag(1),
      lockResetButton: flag(0),
    }),
    console: byte({
      lockPowerButton: flag(7),
      firmwareVerbosity: nameOrNumber({ default: 0, quiet: 1, verbose: 2 }, 6, 5),
      forceProgressEventTraps: flag(4),
      bypassUserPassword: flag(3),
      lockSleepButton: flag(2),
      consoleRedirection: nameOrNumber({ default: 0, suppress: 1, enable: 2 }, 1, 0),
    }),
    mux: byte({
      biosSharedModeOverride: flag(3),
      muxControlOverride: nameOrNumber({ recommended: 0, toBmc: 1, toSystem: 2 }, 2, 0),
    }),
    /** 0 is any instance; bit 4 turns external into internal. */
    deviceInstanceSelector: inByte(uint(4, 0)),
  }),
);

export type BootFlags = ReturnType<typeof bootFlags.decode>;

/** Boot flags that name a device and leave everything else at its default. */
export function bootFlagsFor(
  device: BootDevice,
  options: { readonly persistent: boolean; readonly efi: boolean },
): BootFlags {
  return {
    boot: { valid: true, persistent: options.persistent, biosBootType: options.efi ? "efi" : "legacy" },
    device: { clearCmos: false, lockKeyboard: false, selector: device, blankScreen: false, lockResetButton: false },
    console: {
      lockPowerButton: false,
      firmwareVerbosity: "default",
      forceProgressEventTraps: false,
      bypassUserPassword: false,
      lockSleepButton: false,
      consoleRedirection: "default",
    },
    mux: { biosSharedModeOverride: false, muxControlOverride: "recommended" },
    deviceInstanceSelector: 0,
  };
}

/**
 * Reads one parameter.
 * @throws CompletionCodeError (80h: not supported), DecodeError (also if the answer is for another parameter), TransportError
 */
export async function readBootOption<T>(transport: Transport, option: BootOption<T>, signal: AbortSignal): Promise<T> {
  const response = await send(
    transport,
    getSystemBootOptions,
    { parameterSelector: option.selector, setSelector: 0, blockSelector: 0 },
    signal,
  );
  if (response.parameter.selector !== option.selector) {
    const problem = `the answer is for parameter ${response.parameter.selector}`;
    throw new DecodeError(`boot option ${option.selector} (${option.name})`, 1, problem);
  }
  return option.decode(response.parameterData);
}

/**
 * Writes one parameter and marks it valid.
 * @throws CompletionCodeError (80h: not supported, 81h: another party is at it), DecodeError, TransportError
 */
export async function writeBootOption<T>(
  transport: Transport,
  option: BootOption<T>,
  value: NoInfer<T>,
  signal: AbortSignal,
): Promise<void> {
  const parameter = { markInvalid: false, selector: option.selector };
  await send(transport, setSystemBootOptions, { parameter, parameterData: option.encode(value) }, signal);
}

/** Every parameter of this file. */
export const allBootOptions: readonly BootOption<unknown>[] = [
  setInProgress,
  bootFlagValidBitClearing,
  bootInfoAcknowledge,
  bootFlags,
];
