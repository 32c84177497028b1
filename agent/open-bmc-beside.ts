import { withinLimit } from "../inband/conversation.ts";
import { NoBmcError, type TriedWay } from "../inband/openipmi/open-bmc.ts";
import { Pace } from "../inband/pace.ts";
import type { IpmiDeviceInformation } from "../inband/smbios/type-38-ipmi-device.ts";
import { DeviceIdRefusedError, unknownDevice, waitUntilReady } from "../inband/wait-until-ready.ts";
import type { DeviceIdentity } from "../ipmi/device-identity.ts";
import type { CompletionCodeError } from "../ipmi/errors.ts";
import { type CountingTransport, countingTransport } from "./counting-transport.ts";
import type { Step } from "./step.ts";
import type { World } from "./world.ts";

/** A BMC that is ready, or the ways to one that were tried in vain. */
export type OpenedBmc = ReadyBmc | { readonly tried: readonly TriedWay[] };

export interface ReadyBmc {
  readonly transport: CountingTransport;
  readonly device: DeviceIdentity;
  /** How the BMC refused to tell its identity, which is unknown then: its in-band access is closed. */
  readonly refused?: CompletionCodeError;
  /** What is learnt of it, for all that is said to it later. */
  readonly pace: Pace;
}

/**
 * Firmware or operator say that there is a BMC, but no way to it is open: that is not a machine without one. As far as its
 * machine can tell it is closed to it, and trying again does not help.
 */
export class HiddenBmcError extends Error {
  override readonly name = "HiddenBmcError";
  readonly code = "hidden-bmc";
  override readonly cause: NoBmcError;

  /** @param who says so, and what: "SMBIOS names a BMC (KCS at io 0xca2)" */
  constructor(who: string, cause: NoBmcError) {
    const why = cause.tried.map(({ way, reason }) => `${way}: ${reason}`).join("; ");
    super(
      `${who}, but no way to it is open${why === "" ? "" : ` (${why})`}. ` +
        "It may be closed to its machine, or hang: give the service credentials by hand, or reset the BMC and run again.",
      { cause },
    );
    this.cause = cause;
  }
}

/**
 * Opens the BMC while the service is asked; closes it at the end of the run, however that comes.
 * @param named the IPMI interfaces that SMBIOS names (type 38)
 */
export function openBeside(
  world: World,
  step: Step,
  named: readonly IpmiDeviceInformation[],
): AsyncDisposable & { readonly bmc: Promise<OpenedBmc> } {
  const { limits, watchdogMs } = world.settings;
  const over = new AbortController();
  let transport: CountingTransport | undefined;
  let stopWatchdog: (() => Promise<void>) | undefined;

  const open = async (signal: AbortSignal): Promise<OpenedBmc> => {
    try {
      transport = countingTransport(await world.openBmc(signal), world.clock);
    } catch (error) {
      if (!(error instanceof NoBmcError)) throw error;
      // Boards with a socket for a BMC leave the address zero; the kernel takes that for none as well.
      const device = named.find(({ base }) => base.address !== 0n);
      if (device !== undefined) throw new HiddenBmcError(smbiosNames(device), error);
      const namedBy = error.tried.find((way) => way.namedBy !== undefined)?.namedBy;
      if (namedBy !== undefined) throw new HiddenBmcError(`${namedBy} names a BMC`, error);
      return { tried: error.tried };
    }
    const pace = new Pace(limits.bmcReadyMs, world.note);
    try {
      const conversation = { transport, clock: world.clock, signal, pace };
      const device = await waitUntilReady(conversation, limits.bmcReadyMs);
      if (watchdogMs !== undefined) {
        const watchdog = await import("./watchdog.ts");
        if (await watchdog.startWatchdog(conversation, watchdogMs, world.note)) {
          stopWatchdog = () =>
            withinLimit(world.clock, stopMs, new AbortController().signal, (stopSignal) =>
              watchdog.stopWatchdog({ ...conversation, signal: stopSignal }, world.note),
            );
        }
      }
      return { transport, device, pace };
    } catch (error) {
      if (!(error instanceof DeviceIdRefusedError)) throw error;
      // Commands that the BMC's allowlist has may work all the same.
      return { transport, device: unknownDevice, refused: error.cause, pace };
    }
  };
  const bmc = step(
    "open BMC",
    limits.bmcReadyMs + graceMs,
    (signal) => open(AbortSignal.any([signal, over.signal])),
    (opened) => ("tried" in opened ? "no BMC" : opened.transport.name),
  );
  // Looked at after Begin has answered; until then a failure is nobody's.
  bmc.catch(() => undefined);
  return {
    bmc,
    async [Symbol.asyncDispose]() {
      over.abort(new Error("the run has ended"));
      await bmc.catch(() => undefined);
      await stopWatchdog?.();
      await transport?.[Symbol.asyncDispose]();
    },
  };
}

const smbiosNames = ({ interfaceType, base }: IpmiDeviceInformation): string =>
  `SMBIOS names a BMC (${interfaceType} at ${base.space} 0x${base.address.toString(16)})`;

/** For the BMC to stop its watchdog at the end of the run. */
const stopMs = 15_000;

/** So that the BMC's own limit, which says what was seen, comes first. */
const graceMs = 5_000;
