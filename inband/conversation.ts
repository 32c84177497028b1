import type { Command } from "../ipmi/command.ts";
import { CompletionCode } from "../ipmi/completion-code.ts";
import { CompletionCodeError, DecodeError, TransportError } from "../ipmi/errors.ts";
import { type Conversation, commandLimitMs, type Effect, effectOf, isNotNow, once, sendOnce } from "./send-once.ts";
import { waitUntilBack } from "./wait-until-ready.ts";

export { type Conversation, isNotNow, presentMs, sendOnce, withinLimit } from "./send-once.ts";

/** How often a command is sent again when the BMC says that it is busy. */
export interface Patience {
  /** Milliseconds to wait before each repetition. */
  readonly waitsMs: readonly number[];
  /** How many of them are spent on FFh: some BMCs answer it for ever where they mean "not set" or "not known". */
  readonly onUnspecified: number;
}

/** Quanta S99Q answers C0h for 3 s after every write. */
export const patient: Patience = { waitsMs: [50, 100, 200, 400, 800, 1600, 2000], onUnspecified: 7 };

/**
 * For writes, and for looks at them: what was begun is to be ended. Some boards take 15 s to become idle (xcat repeats each
 * step as often), and where a BMC counts instead, 30 of its answers are waited for.
 */
export const persistent: Patience = {
  ...patient,
  waitsMs: [...patient.waitsMs, ...new Array<number>(23).fill(1_000)],
};

/** For facts without which nothing goes on, and which some BMCs do not know. */
export const patientUnlessUnspecified: Patience = { ...patient, onUnspecified: 2 };

/** For facts that are nice to have: each code that says "busy" is also what some BMC says instead of "not there". */
export const impatient: Patience = { waitsMs: [50, 200], onUnspecified: 2 };

/** How often a command that only reads is begun anew if the transport drops its answer at once, as one for another command. */
const mostQuickResumptions = 3;

/** A reply that came cut short is asked for again that often, if the command only reads. */
const repetitionsOfBrokenReply = 2;

/**
 * A write broke off: the BMC fell silent, restarted, or its reply was cut short. Whether the write was done is not known.
 * The BMC is back when this is thrown: read what the write was to change, and send it again only if it is not so.
 */
export class InterruptedWriteError extends Error {
  override readonly name = "InterruptedWriteError";
  readonly code = "interrupted-write";
  readonly command: string;

  constructor(command: string, cause: Error) {
    super(`${command}: broke off, and it is not known whether the BMC did it (${cause.message}); run again`, { cause });
    this.command = command;
  }
}

/** The BMC answers other commands, but again and again it did not answer this one. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError";
  readonly code = "no-answer";

  constructor(command: string, cause: Error) {
    super(`${command}: no answer, although the BMC answers other commands (${cause.message})`, { cause });
  }
}

/**
 * Sends a command, and again while the BMC is busy. If the BMC falls silent or restarts, waits until it is back
 * (with `pace` in the conversation) and goes on where it was. A command that must not be sent twice is sent once.
 * @param patience left out: `persistent` for a write, else `patient`
 * @throws InterruptedWriteError if a write broke off; the BMC is back then
 * @throws NotReadyError if the BMC does not come back; NoAnswerError, CompletionCodeError, DecodeError, TransportError
 */
export async function sendPatiently<Q, P>(
  conversation: Conversation,
  command: Command<Q, P>,
  request: NoInfer<Q>,
  patience?: Patience,
): Promise<P> {
  if (!command.repeatable) return sendOnce(conversation, command, request);
  const effect = effectOf(command, request);
  const how = { name: command.name, effect, patience: patience ?? (effect === "write" ? persistent : patient) };
  return untilAnswered(conversation, how, () => sendOnce(conversation, command, request));
}

/** The same for whatever sends one command that reads. */
export async function readPatiently<T>(
  conversation: Conversation,
  name: string,
  patience: Patience,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const how = { name, effect: "read" as const, patience };
  return untilAnswered(conversation, how, () => once(conversation, "read", work));
}

interface How {
  readonly name: string;
  readonly effect: Effect;
  readonly patience: Patience;
}

async function untilAnswered<T>(conversation: Conversation, how: How, work: () => Promise<T>): Promise<T> {
  const { clock, signal, pace } = conversation;
  const tries = new Tries(how);
  let writtenAt = pace?.writtenAt;
  let wasBusy = false;
  for (let resumed = 0; ; ) {
    const startedAt = clock.now() + (pace?.pauseLeftMs(clock) ?? 0);
    try {
      const value = await work();
      if (wasBusy && writtenAt !== undefined) pace?.settled(writtenAt, clock);
      return value;
    } catch (error) {
      if (how.effect === "write" && isTruncated(error)) throw new InterruptedWriteError(how.name, error);
      const tookMs = clock.now() - startedAt;
      const waitMs = tries.waitAfter(error, tookMs);
      const isSuspicious = isNotNow(error) && (tookMs >= slowMs || waitMs === undefined);
      const mayBeAway = error instanceof TransportError || isSuspicious;
      if (mayBeAway && (await wasAway(conversation, error))) {
        const neverBegun = error instanceof TransportError && error.sent === "no";
        if (how.effect === "write" && !neverBegun) throw new InterruptedWriteError(how.name, error as Error);
        if (resumed >= (tookMs < slowMs ? mostQuickResumptions : 1)) {
          throw error instanceof TransportError ? new NoAnswerError(how.name, error) : error;
        }
        resumed += 1;
        writtenAt = undefined;
        continue;
      }
      if (waitMs === undefined) throw error;
      wasBusy ||= isNotNow(error);
      // A code that came late stands for an answer that got lost: how long the BMC was busy cannot be told any more.
      if (tookMs >= slowMs) writtenAt = undefined;
      await clock.sleep(waitMs, signal);
    }
  }
}

/** How often one command was tried in vain, and how long to wait before the next try. All tries share `commandLimitMs`. */
class Tries {
  readonly #how: How;
  #failed = 0;
  #broken = 0;
  #unspecified = 0;
  #tookMs = 0;

  constructor(how: How) {
    this.#how = how;
  }

  /**
   * Milliseconds; undefined if it is not to be tried again.
   * @param tookMs milliseconds from the command to the error
   */
  waitAfter(error: unknown, tookMs: number): number | undefined {
    const { effect, patience } = this.#how;
    const waitMs = patience.waitsMs[this.#failed];
    this.#failed += 1;
    this.#tookMs += tookMs;
    if (this.#tookMs >= commandLimitMs) return undefined;
    if (isNotNow(error)) {
      if (error.completionCode === CompletionCode.unspecified) this.#unspecified += 1;
      return this.#unspecified > patience.onUnspecified ? undefined : waitMs;
    }
    if (effect === "write" || !(error instanceof DecodeError || isTruncated(error))) return undefined;
    this.#broken += 1;
    return this.#broken > repetitionsOfBrokenReply ? undefined : waitMs;
  }
}

/** C6h is also what the kernel's driver makes of a reply that was cut short. */
function isTruncated(error: unknown): error is CompletionCodeError {
  return error instanceof CompletionCodeError && error.completionCode === CompletionCode.requestTruncated;
}

/**
 * A BMC that is there says "busy" at once; the kernel's driver, for one that is gone or hangs at a command, after 4 s and
 * up to a minute.
 */
const slowMs = 3_000;

/**
 * Whether the BMC was away, which it is not any more when this returns. Silence counts as that; a code that says "busy"
 * counts if Get Device ID is not answered well either: the kernel's driver answers C3h and FFh for a BMC that is gone.
 */
async function wasAway(conversation: Conversation, error: unknown): Promise<boolean> {
  const { clock, pace, signal } = conversation;
  if (pace === undefined || signal.aborted || pace.leftForReturnMs <= 0) return false;
  const startedAt = clock.now();
  try {
    return await waitUntilBack(
      conversation,
      pace.leftForReturnMs,
      error instanceof TransportError ? "silence" : "busy",
    );
  } finally {
    pace.waitedForReturn(clock.now() - startedAt);
  }
}
