import { NoBmcError, type TriedWay } from "../inband/openipmi/open-bmc.ts";
import { type DeviceIdentity, waitUntilReady } from "../inband/wait-until-ready.ts";
import { type CountingTransport, countingTransport } from "./counting-transport.ts";
import type { Step } from "./step.ts";
import type { World } from "./world.ts";

/** A BMC that is ready, or the ways to one that were tried in vain. */
export type OpenedBmc =
  | { readonly transport: CountingTransport; readonly device: DeviceIdentity }
  | { readonly tried: readonly TriedWay[] };

/** Opens the BMC while the service is asked; closes it at the end of the run, however that comes. */
export function openBeside(world: World, step: Step): AsyncDisposable & { readonly bmc: Promise<OpenedBmc> } {
  const { limits } = world.settings;
  const over = new AbortController();
  const openedText = (bmc: OpenedBmc) => ("tried" in bmc ? "no BMC" : bmc.transport.name);
  const bmc = step(
    "open BMC",
    limits.bmcReadyMs + graceMs,
    (signal) => open(world, AbortSignal.any([signal, over.signal])),
    openedText,
  );
  // Looked at after Begin has answered; until then a failure is nobody's.
  bmc.catch(() => undefined);
  return {
    bmc,
    async [Symbol.asyncDispose]() {
      over.abort(new Error("the run has ended"));
      const opened = await bmc.catch(() => undefined);
      if (opened !== undefined && "transport" in opened) await opened.transport[Symbol.asyncDispose]();
    },
  };
}

/** So that the BMC's own limit, which says what was seen, comes first. */
const graceMs = 5_000;

async function open(world: World, signal: AbortSignal): Promise<OpenedBmc> {
  try {
    const transport = countingTransport(await world.openBmc(signal), world.clock);
    try {
      const conversation = { transport, clock: world.clock, signal };
      return { transport, device: await waitUntilReady(conversation, world.settings.limits.bmcReadyMs) };
    } catch (error) {
      await transport[Symbol.asyncDispose]();
      throw error;
    }
  } catch (error) {
    if (error instanceof NoBmcError) return { tried: error.tried };
    throw error;
  }
}
