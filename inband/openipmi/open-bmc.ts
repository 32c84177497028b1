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
  /** Who says that there is a BMC this way: then it is not one that the machine does not have. */
  readonly namedBy?: string;
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

/** A way to the BMC beside the driver's device nodes. */
export interface Way {
  /** "kcs:0xca2". */
  readonly name: string;
  /** Who says that there is a BMC this way, if anybody does: "SMBIOS". */
  readonly namedBy?: string;
  /** @throws Error whose message says why there is no way */
  readonly open: (signal: AbortSignal) => Promise<Transport>;
}

export interface OpenBmcOptions {
  /** Device nodes, tried in this order. */
  readonly devices?: readonly string[];
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  /** Opens one device node. */
  readonly open?: (path: string) => IpmiDevice;
  /** The ways to try when no device node can be opened, in their order. Not asked for before. */
  readonly otherWays?: () => Promise<readonly Way[]>;
  /** Told of every way that failed, also if a later one works. */
  readonly onFailed?: (way: TriedWay) => void;
}

/**
 * The first in-band transport that can be opened. That a BMC answers behind it is for wait-until-ready.ts.
 * @throws NoBmcError naming all ways that were tried
 */
export async function openBmc(options: OpenBmcOptions = {}): Promise<Transport> {
  const { devices = defaultDevices, clock = systemClock, open = openKernelDevice } = options;
  const { signal = new AbortController().signal, otherWays = async () => [] } = options;
  const tried: TriedWay[] = [];
  const attempt = async (
    way: Omit<TriedWay, "reason">,
    work: () => Transport | Promise<Transport>,
  ): Promise<Transport | undefined> => {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      signal.throwIfAborted();
      const failed = { ...way, reason: error instanceof Error ? error.message : String(error) };
      tried.push(failed);
      options.onFailed?.(failed);
      return undefined;
    }
  };
  for (const path of devices) {
    const transport = await attempt({ way: path }, () => new OpenIpmiTransport(open(path), clock));
    if (transport !== undefined) return transport;
  }
  for (const { name, namedBy, open: openWay } of await otherWays()) {
    const way = { way: name, ...(namedBy === undefined ? {} : { namedBy }) };
    const transport = await attempt(way, () => openWay(signal));
    if (transport !== undefined) return transport;
  }
  throw new NoBmcError(tried);
}
