import type { Clock } from "../inband/clock.ts";

/** The steps of the run, in the order of design: a person at the console reads these names. */
export const stepNames = [
  "identify machine",
  "begin",
  "open BMC",
  "inspect BMC",
  "report BMC",
  "escrow account",
  "set account",
  "prove account",
  "hand-off",
] as const;

/** A step after the last one, which most runs do not have. */
const furtherStep = "retire former accounts";

export type StepName = (typeof stepNames)[number] | typeof furtherStep;

/** What a console shows of a step. Durations in milliseconds; no text holds a secret. */
export type StepEvent =
  | {
      readonly kind: "started";
      readonly step: StepName;
      readonly number: number;
      readonly of: number;
      /** How long it may take. */
      readonly limitMs?: number;
    }
  | {
      readonly kind: "done";
      readonly step: StepName;
      readonly number: number;
      readonly of: number;
      readonly durationMs: number;
      /** What came out, for people; may be empty. */
      readonly detail: string;
    }
  | {
      readonly kind: "failed";
      readonly step: StepName;
      readonly number: number;
      readonly of: number;
      readonly durationMs: number;
      readonly reason: string;
    };

/**
 * Runs one step of the run.
 * @param limitMs milliseconds after which the signal given to `work` ends it
 * @param describe what came out, for people
 * @throws StepError, whose cause is what `work` threw, or StepTimeoutError
 */
export type Step = <T>(
  name: StepName,
  limitMs: number,
  work: (signal: AbortSignal) => Promise<T>,
  describe?: (value: T) => string,
) => Promise<T>;

/** A step failed. What to do about it depends on the cause. */
export class StepError extends Error {
  override readonly name = "StepError";
  readonly code = "step";
  readonly step: StepName;

  constructor(step: StepName, cause: unknown) {
    super(`${step}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.step = step;
  }
}

/** A step took longer than its limit. */
export class StepTimeoutError extends Error {
  override readonly name = "StepTimeoutError";
  readonly code = "step-timeout";

  constructor(limitMs: number, options?: ErrorOptions) {
    super(`not done within ${limitMs / 1000} s`, options);
  }
}

export interface StepOptions {
  readonly clock: Clock;
  readonly onEvent: (event: StepEvent) => void;
  /** Ends the step that runs and lets no other begin. */
  readonly signal?: AbortSignal;
  /** Called right before and right after the work; if it throws, the step fails. The crash tests hang here. */
  readonly hook?: (when: "before" | "after", step: StepName) => void | Promise<void>;
}

/** How long a step that was told to end may still take, so that it is not cut off in the middle of a command. */
const graceMs = 2_000;

export function makeStep(options: StepOptions): Step {
  const { clock, onEvent, hook } = options;
  return async (step, limitMs, work, describe) => {
    const names: readonly StepName[] = step === furtherStep ? [...stepNames, furtherStep] : stepNames;
    const position = { step, number: names.indexOf(step) + 1, of: names.length };
    const startedAt = clock.now();
    const durationMs = () => clock.now() - startedAt;
    onEvent({ kind: "started", ...position, limitMs });
    try {
      options.signal?.throwIfAborted();
      await hook?.("before", step);
      const value = await withLimit(clock, limitMs, options.signal, work);
      await hook?.("after", step);
      onEvent({ kind: "done", ...position, durationMs: durationMs(), detail: describe?.(value) ?? "" });
      return value;
    } catch (error) {
      const failure = error instanceof StepError ? error : new StepError(step, error);
      const reason = failure.cause instanceof Error ? failure.cause.message : String(failure.cause);
      onEvent({ kind: "failed", ...position, durationMs: durationMs(), reason });
      throw failure;
    }
  };
}

async function withLimit<T>(
  clock: Clock,
  limitMs: number,
  outer: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const over = new AbortController();
  const signal = outer === undefined ? limit.signal : AbortSignal.any([limit.signal, outer]);
  /** Why the work is to end before it is done: the limit, or the reason of `outer`. */
  const endedEarly = async (): Promise<unknown> => {
    const waiting = outer === undefined ? over.signal : AbortSignal.any([over.signal, outer]);
    try {
      await clock.sleep(limitMs, waiting);
    } catch (reason) {
      if (outer?.aborted !== true) throw reason;
      return outer.reason;
    }
    const error = new StepTimeoutError(limitMs);
    limit.abort(error);
    return error;
  };
  const cutOff = endedEarly().then(async (reason) => {
    await clock.sleep(graceMs, over.signal);
    throw reason;
  });
  // The loser of the race: its end is awaited nowhere else.
  cutOff.catch(() => undefined);
  try {
    return await Promise.race([work(signal), cutOff]);
  } catch (error) {
    if (!limit.signal.aborted || error === limit.signal.reason) throw error;
    throw isTyped(error) ? error : new StepTimeoutError(limitMs, { cause: error });
  } finally {
    over.abort();
  }
}

/** Errors of ours say more about the end of a wait than "not done in time" does; the abort of a signal does not. */
function isTyped(error: unknown): boolean {
  return error instanceof Error && error.name !== "AbortError" && error.name !== "TimeoutError";
}
