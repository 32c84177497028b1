import pRetry from "p-retry";
import { ServiceError, type ServiceStatus } from "./service-error.ts";

/** How patiently to wait for a service that is not there. */
export interface RetryOptions {
  /** Longest time for all attempts together, waits included, in milliseconds. */
  readonly limitMs: number;
  /** Wait before the second attempt, in milliseconds; it doubles each time and is stretched at random by up to twice. */
  readonly firstWaitMs?: number;
  /** Longest wait between two attempts, in milliseconds. */
  readonly maxWaitMs?: number;
  /** What is worth another try besides "unavailable". */
  readonly alsoOn?: readonly ServiceStatus[];
  readonly signal: AbortSignal;
  /** Called before each wait: the attempt that failed, counted from 1, the wait in milliseconds, and why it failed. */
  readonly onRetry?: (attempt: number, waitMs: number, error: ServiceError) => void;
}

/**
 * Does `work` again while the service is "unavailable", or what `alsoOn` names, with back-off and jitter; any other failure ends it
 * at once.
 * For calls that may be sent twice only. `work` gets a signal that also ends at the limit.
 * @throws ServiceError: the last of these when the limit is over, or what is not worth a second try; or the signal's reason
 */
export async function withRetry<T>(work: (signal: AbortSignal) => Promise<T>, options: RetryOptions): Promise<T> {
  const { limitMs, alsoOn = [], signal, onRetry, firstWaitMs = 500, maxWaitMs = 15_000 } = options;
  const isWorthIt = (error: unknown): error is ServiceError =>
    error instanceof ServiceError && (error.status === "unavailable" || alsoOn.includes(error.status));
  const limit = new AbortController();
  const startedAt = performance.now();
  const timer = setTimeout(() => limit.abort(), limitMs);
  const either = AbortSignal.any([signal, limit.signal]);
  let attempts = 0;
  let last: ServiceError | undefined;
  try {
    return await pRetry(
      async () => {
        attempts += 1;
        try {
          return await work(either);
        } catch (error) {
          if (isWorthIt(error)) last = error;
          throw error;
        }
      },
      {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: firstWaitMs,
        maxTimeout: maxWaitMs,
        randomize: true,
        signal: either,
        shouldRetry: ({ error, attemptNumber, retryDelay }) => {
          if (!isWorthIt(error)) return false;
          onRetry?.(attemptNumber, retryDelay, error);
          return true;
        },
      },
    );
  } catch (error) {
    if (signal.aborted || !limit.signal.aborted) throw error;
    const seconds = Math.round((performance.now() - startedAt) / 100) / 10;
    const why = last?.message ?? "the BMC service did not answer";
    throw new ServiceError(
      last?.status ?? "unavailable",
      `${why}; gave up after ${attempts} attempts in ${seconds} s`,
      {
        cause: last ?? error,
        answered: last?.answered ?? false,
      },
    );
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Reads a stream that may be joined again, and joins it again while the service is "unavailable".
 * The limit counts from each break to the first message after it; a stream that stays silent is no break.
 * What the service sends again at a join is passed on again.
 * @throws as withRetry
 */
export async function* withRejoin<T>(
  join: (signal: AbortSignal) => AsyncIterable<T>,
  options: RetryOptions,
): AsyncGenerator<T, void, undefined> {
  let broken: ServiceError | undefined;
  for (;;) {
    const joined = await withRetry(async (signal) => {
      // The break itself is the first failed attempt, so that a service that breaks at once is not joined in a tight loop.
      const error = broken;
      broken = undefined;
      if (error) throw error;
      const messages = join(signal)[Symbol.asyncIterator]();
      return { messages, first: await messages.next() };
    }, options);
    try {
      for (let next = joined.first; !next.done; next = await joined.messages.next()) yield next.value;
      return;
    } catch (error) {
      if (!(error instanceof ServiceError) || error.status !== "unavailable") throw error;
      broken = error;
    } finally {
      await joined.messages.return?.();
    }
  }
}
