import type { Clock } from "../inband/clock.ts";
import type { Message, Reply, Transport } from "../ipmi/transport.ts";
import { Histogram, type Latencies } from "./latencies.ts";
import type { IpmiCount } from "./outcome.ts";

/** A transport that counts what goes through it. */
export interface CountingTransport extends Transport {
  readonly count: IpmiCount;
  /** How long its commands took up to now. */
  readonly latencies: Latencies;
}

/** Counts the commands, repetitions included, and the time that they took. */
export function countingTransport(inner: Transport, clock: Clock): CountingTransport {
  let commands = 0;
  let waitedMs = 0;
  const histogram = new Histogram();
  return {
    name: inner.name,
    maxRequestBytes: inner.maxRequestBytes,
    get count() {
      return { commands, waitedMs };
    },
    get latencies() {
      return histogram.latencies;
    },
    async exchange(message: Message, signal: AbortSignal): Promise<Reply> {
      commands += 1;
      const startedAt = clock.now();
      try {
        return await inner.exchange(message, signal);
      } finally {
        const tookMs = clock.now() - startedAt;
        waitedMs += tookMs;
        histogram.add(tookMs);
      }
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  };
}
