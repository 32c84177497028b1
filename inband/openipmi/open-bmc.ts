import type { Transport } from "../../ipmi/transport.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { IpmiDevice } from "./ipmi-device.ts";
import { openKernelDevice } from "./kernel-device.ts";
import { OpenIpmiTransport } from "./openipmi-transport.ts";

/** Where the device nodes of the OpenIPMI driver are, depending on who makes them. */
export const defaultDevices: readonly string[] = ["/dev/ipmi0", "/dev/ipmi/0", "/dev/ipmidev/0"];

/** One way to a BMC, and why it failed. */
export interface TriedWay {
  readonly way: string;
  readonly reason: string;
}

/** No way to a BMC was found. That may be right: not every machine has one. */
export class NoBmcError extends Error {
  override readonly name = "NoBmcError";
  readonly code = "no-bmc";
  readonly tried: readonly TriedWay[];

  constructor(tried: readonly TriedWay[]) {
    super(`no BMC: ${tried.map(({ way, reason }) => `${way}: ${reason}`).join("; ")}`);
    this.tried = tried;
  }
}

export interface OpenBmcOptions {
  /** Device nodes, tried in this order. */
  readonly devices?: readonly string[];
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  /** Opens one device node. */
  readonly open?: (path: string) => IpmiDevice;
}

/**
 * The first in-band transport that can be opened. That a BMC answers behind it is for wait-until-ready.ts.
 * @throws NoBmcError naming all ways that were tried
 */
export async function openBmc(options: OpenBmcOptions = {}): Promise<Transport> {
  const { devices = defaultDevices, clock = systemClock, open = openKernelDevice } = options;
  const tried: TriedWay[] = [];
  for (const path of devices) {
    options.signal?.throwIfAborted();
    try {
      return new OpenIpmiTransport(open(path), clock);
    } catch (error) {
      tried.push({ way: path, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  throw new NoBmcError(tried);
}
