import {
  type BootDevice,
  type BootOption,
  bootFlags,
  bootFlagsFor,
  bootFlagValidBitClearing,
  bootInfoAcknowledge,
  readBootOption,
  setInProgress,
  writeBootOption,
} from "../../../ipmi/boot-options.ts";
import { CompletionCodeError } from "../../../ipmi/errors.ts";
import type { Transport } from "../../../ipmi/transport.ts";
import { BootTarget } from "../../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { BootOverride } from "../driver.ts";

/**
 * Reads the boot flags. IPMI 2.0 §28.13, parameter 5.
 * @param written whether they were written a moment ago. Flags that are not valid are no override: the BMC clears that
 *   bit when they were used and may keep the device. But ipmi_sim never shows the bit, so right after it was
 *   accepted the device alone counts.
 * @throws CompletionCodeError, DecodeError, TransportError
 */
export async function readBootOverride(bmc: Transport, written: boolean, signal: AbortSignal): Promise<BootOverride> {
  const { boot, device } = await readBootOption(bmc, bootFlags, signal);
  const target = boot.valid || written ? targetOf(device.selector) : BootTarget.BOOT_TARGET_NONE;
  if (target === BootTarget.BOOT_TARGET_NONE) return { target, persistent: false, efi: false };
  return { target, persistent: boot.persistent, efi: boot.biosBootType === "efi" };
}

/**
 * Writes the boot flags, and around them what tells BMC and BIOS that they are fresh; many BMCs know only the flags.
 * @throws CompletionCodeError, TransportError
 */
export async function writeBootOverride(bmc: Transport, override: BootOverride, signal: AbortSignal): Promise<void> {
  const device = deviceOf(override.target);
  await ifKnown(bmc, setInProgress, "setInProgress", signal);
  try {
    const keep = {
      keepOnPefReset: false,
      keepWithoutChassisControlFor60Seconds: true,
      keepOnWatchdogTimeout: true,
      keepOnResetButton: true,
      keepOnPowerButton: true,
    };
    await ifKnown(bmc, bootFlagValidBitClearing, keep, signal);
    const nobody = { oem: true, serviceSoftware: true, osOrServicePartition: true, osLoader: true, biosOrPost: true };
    await ifKnown(bmc, bootInfoAcknowledge, { writeMask: nobody, notHandledBy: nobody }, signal);
    await writeBootOption(bmc, bootFlags, bootFlagsFor(device, override), signal);
  } finally {
    await ifKnown(bmc, setInProgress, "setComplete", signal);
  }
}

/** Writes an option that a BMC may refuse: the flags hold without it. */
async function ifKnown<T>(
  bmc: Transport,
  option: BootOption<T>,
  value: NoInfer<T>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await writeBootOption(bmc, option, value, signal);
  } catch (error) {
    if (!(error instanceof CompletionCodeError)) throw error;
  }
}

function deviceOf(target: BootTarget): BootDevice {
  switch (target) {
    case BootTarget.BOOT_TARGET_NONE:
      return "noOverride";
    case BootTarget.BOOT_TARGET_PXE:
      return "pxe";
    case BootTarget.BOOT_TARGET_DISK:
      return "hardDrive";
    case BootTarget.BOOT_TARGET_BIOS:
      return "biosSetup";
    case BootTarget.BOOT_TARGET_CDROM:
      return "cdDvd";
    case BootTarget.BOOT_TARGET_UNSPECIFIED:
    case BootTarget.UNRECOGNIZED:
      throw new RangeError("no boot target given");
    default:
      return target satisfies never;
  }
}

function targetOf(selector: BootDevice | number): BootTarget {
  switch (selector) {
    case "noOverride":
      return BootTarget.BOOT_TARGET_NONE;
    case "pxe":
      return BootTarget.BOOT_TARGET_PXE;
    case "hardDrive":
    case "hardDriveSafeMode":
    case "remoteHardDrive":
      return BootTarget.BOOT_TARGET_DISK;
    case "biosSetup":
      return BootTarget.BOOT_TARGET_BIOS;
    case "cdDvd":
    case "remoteCdDvd":
      return BootTarget.BOOT_TARGET_CDROM;
    default:
      // The contract has no word for the other devices.
      return BootTarget.BOOT_TARGET_UNSPECIFIED;
  }
}
