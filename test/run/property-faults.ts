import type { EnrolmentClient } from "../../agent/world.ts";
import type { Clock } from "../../inband/clock.ts";
import { allCommands } from "../../ipmi/commands/index.ts";
import { TransportError } from "../../ipmi/errors.ts";
import type { Message, Reply, Transport } from "../../ipmi/transport.ts";
import { ServiceError } from "../../outband-client/service/service-error.ts";
import type { SimulatedBmc } from "../simulator/simulated-bmc.ts";
import type { Boot, IpmiEffect, IpmiFault, ServiceCall, ServiceFault } from "./property-scenario.ts";

/** Who counts the instants of one boot: before and after each command and each call has taken effect. */
export interface Instants {
  /** @throws when the machine has lost its power */
  pass(): void;
}

/** Counts how often each fault was met. */
class Counter<F extends { readonly from: number; readonly count: number }> {
  readonly #faults: { readonly fault: F; met: number }[];

  constructor(faults: readonly F[]) {
    this.#faults = faults.map((fault) => ({ fault, met: 0 }));
  }

  /** The first fault that hits what is met now. */
  hit(meets: (fault: F) => boolean): F | undefined {
    let first: F | undefined;
    for (const each of this.#faults) {
      if (!meets(each.fault)) continue;
      const { from, count } = each.fault;
      if (each.met >= from && each.met < from + count) first ??= each.fault;
      each.met += 1;
    }
    return first;
  }
}

const nothing = new Uint8Array();

/** The in-band way to the BMC, on which things go wrong as the boot says. */
export function faultyTransport(
  inner: Transport,
  bmc: SimulatedBmc,
  { ipmiFaults }: Pick<Boot, "ipmiFaults">,
  clock: Clock,
  instants: Instants,
): Transport {
  const faults = new Counter<IpmiFault>(ipmiFaults);
  const { name, maxRequestBytes } = inner;

  /** Waits as long as the caller does. */
  const silence = async (signal: AbortSignal): Promise<never> => {
    try {
      for (;;) await clock.sleep(3_600_000, signal);
    } catch (error) {
      throw new TransportError(name, "unknown", "no answer", { cause: error });
    }
  };

  const under = async (effect: IpmiEffect, message: Message, signal: AbortSignal): Promise<Reply> => {
    switch (effect.kind) {
      case "code":
        if (effect.executed) await inner.exchange(message, signal);
        return { completionCode: effect.code, data: nothing };
      case "lost":
        if (effect.executed) await inner.exchange(message, signal);
        return await silence(signal);
      case "cut": {
        const reply = await inner.exchange(message, signal);
        return { ...reply, data: reply.data.slice(0, effect.bytes) };
      }
      case "late": {
        const reply = await inner.exchange(message, signal);
        try {
          await clock.sleep(effect.ms, signal);
        } catch (error) {
          throw new TransportError(name, "unknown", "no answer", { cause: error });
        }
        return reply;
      }
      case "reset":
        if (effect.executed) await inner.exchange(message, signal);
        bmc.reset(clock.now(), effect.ms);
        return await silence(signal);
      default:
        return effect satisfies never;
    }
  };

  return {
    name,
    maxRequestBytes,
    async exchange(message, signal) {
      instants.pass();
      const command = allCommands.find(({ netFn, cmd }) => netFn === message.netFn && cmd === message.cmd)?.name;
      const fault = faults.hit((each) => each.command === undefined || each.command === command);
      try {
        return await (fault === undefined ? inner.exchange(message, signal) : under(fault.effect, message, signal));
      } finally {
        instants.pass();
      }
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}

/** The way to the service, on which things go wrong as the boot says. */
export function faultyClient(
  inner: EnrolmentClient,
  { serviceFaults, retry }: Pick<Boot, "serviceFaults" | "retry">,
  clock: Clock,
  instants: Instants,
): EnrolmentClient {
  const faults = new Counter<ServiceFault>(serviceFaults);

  const once = async <T>(name: ServiceCall, signal: AbortSignal, work: () => Promise<T>): Promise<T> => {
    instants.pass();
    const effect = faults.hit(({ call }) => call === name)?.effect;
    if (effect === "reply lost") await work();
    switch (effect) {
      case undefined:
        break;
      case "unreachable":
      case "reply lost":
        throw new ServiceError("unavailable", "the service cannot be reached");
      case "refused":
        throw new ServiceError("refused", "the service refuses this agent", { answered: true });
      case "broken":
        throw new ServiceError("internal", "the service has a bug", { answered: true });
      case "silent":
        for (;;) await clock.sleep(3_600_000, signal);
      // falls through: it sleeps until the signal throws
      case "deaf":
        return await new Promise<never>(() => undefined);
      default:
        effect satisfies never;
    }
    try {
      return await work();
    } finally {
      instants.pass();
    }
  };

  /** As the program does: again while the service cannot be reached, for 5 minutes. */
  const call = async <T>(name: ServiceCall, signal: AbortSignal, work: () => Promise<T>): Promise<T> => {
    for (const startedAt = clock.now(); ; ) {
      try {
        return await once(name, signal, work);
      } catch (error) {
        const unavailable = error instanceof ServiceError && error.status === "unavailable";
        if (!retry || !unavailable || name === "abort" || clock.now() - startedAt > 300_000) throw error;
        await clock.sleep(15_000, signal);
      }
    }
  };

  return {
    begin: (request, signal) => call("begin", signal, () => inner.begin(request, signal)),
    reportBmc: (request, signal) => call("reportBmc", signal, () => inner.reportBmc(request, signal)),
    reportInventory: (request, signal) => call("reportInventory", signal, () => inner.reportInventory(request, signal)),
    escrowAccount: (request, signal) => call("escrowAccount", signal, () => inner.escrowAccount(request, signal)),
    confirmAccount: (request, signal) => call("confirmAccount", signal, () => inner.confirmAccount(request, signal)),
    abort: (request, signal) => call("abort", signal, () => inner.abort(request, signal)),
    async *watchHandOff(request, signal) {
      await call("watchHandOff", signal, async () => undefined);
      yield* inner.watchHandOff(request, signal);
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}
