import type { ClockFault } from "../../outband-client/service/service-error.ts";

/** Somebody who may know what time it is. */
export interface TimeSource {
  /** "the NTP server 10.0.0.1" */
  readonly name: string;
  /** @throws Error whose message says why it does not tell */
  now(fault: ClockFault, signal: AbortSignal): Promise<Date>;
}

/** What is needed to set a clock, so that a test can stand in for it. */
export interface ClockWorld {
  readonly sources: readonly TimeSource[];
  readonly now: () => Date;
  /** @throws Error if that is not allowed */
  readonly set: (time: Date) => void;
  readonly note: (text: string) => void;
  /** Whose certificate it is that is not valid: "The service's". */
  readonly whose: string;
}

/** What of the clock an error tells; undefined: it is no matter of the clock. */
const clockFaultIn = (error: unknown): ClockFault | undefined =>
  error instanceof Error ? (error as { clockFault?: ClockFault }).clockFault : undefined;

/**
 * After a call failed because a server's certificate is not valid by the clock: sets the clock and calls again, once for each
 * source that tells a time at which the certificate is valid. Another time would help nobody, and the clock is left alone.
 * @param failed how the call failed
 * @throws how it failed the last time, or the signal's reason
 */
export async function retryWithCorrectClock<T>(
  failed: Error,
  again: () => Promise<T>,
  world: ClockWorld,
  signal: AbortSignal,
): Promise<T> {
  let last: unknown = failed;
  for (const source of world.sources) {
    const fault = clockFaultIn(last);
    if (fault === undefined) break;
    if (!(await setBy(source, fault, world, signal))) continue;
    try {
      return await again();
    } catch (error) {
      last = error;
    }
  }
  throw last;
}

/** Whether the clock was set. */
async function setBy(source: TimeSource, fault: ClockFault, world: ClockWorld, signal: AbortSignal): Promise<boolean> {
  const { validFrom, validTo, kind } = fault;
  try {
    const time = await source.now(fault, signal);
    if (time < validFrom || time > validTo) {
      const window = `${validFrom.toISOString()} to ${validTo.toISOString()}`;
      world.note(`${source.name} says ${time.toISOString()}; the certificate is valid from ${window}: clock not set`);
      return false;
    }
    const before = world.now();
    world.set(time);
    const change = `from ${before.toISOString()} to ${time.toISOString()}`;
    world.note(`${world.whose} certificate is ${kind} by the clock: clock set ${change}, by ${source.name}`);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    world.note(`The clock is not set by ${source.name}: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}
