import { type Command, send } from "../ipmi/command.ts";
import { CompletionCode } from "../ipmi/completion-code.ts";
import { CompletionCodeError } from "../ipmi/errors.ts";
import type { Transport } from "../ipmi/transport.ts";
import type { Clock } from "./clock.ts";

/** What talking to one BMC needs. */
export interface Conversation {
  readonly transport: Transport;
  readonly clock: Clock;
  /** Ends the conversation: the command that is under way and every wait. */
  readonly signal: AbortSignal;
}

/**
 * How long one command may take, in milliseconds. The kernel's driver may hold a command of a dead BMC for 50 s and
 * then answers FFh by itself.
 */
export const commandLimitMs = 60_000;

/**
 * How often a command is sent again when the BMC says that it is busy, in milliseconds to wait before.
 * Quanta S99Q answers C0h for 3 s after every write.
 */
export const patient: readonly number[] = [50, 100, 200, 400, 800, 1600, 2000];

/** For facts that are nice to have: some BMCs answer FFh for ever where they mean "not set". */
export const impatient: readonly number[] = [50, 200];

/**
 * Completion codes that say "not now". None of them ever means "empty" or "absent".
 * C0h, C3h and CEh were seen from busy BMCs, D2h and FFh from booting ones. IPMI 2.0 §5.2.
 */
const notNow: ReadonlySet<number> = new Set([
  CompletionCode.nodeBusy,
  CompletionCode.timeout,
  CompletionCode.responseNotProvided,
  CompletionCode.initializing,
  CompletionCode.unspecified,
]);

/** Whether the BMC may well answer otherwise a moment later. */
export function isNotNow(error: unknown): error is CompletionCodeError {
  return error instanceof CompletionCodeError && notNow.has(error.completionCode);
}

/**
 * Sends a command once.
 * @throws CompletionCodeError, DecodeError, TransportError (also after `commandLimitMs`)
 */
export async function sendOnce<Q, P>(
  { transport, clock, signal }: Conversation,
  command: Command<Q, P>,
  request: NoInfer<Q>,
): Promise<P> {
  return withinLimit(clock, commandLimitMs, signal, (limited) => send(transport, command, request, limited));
}

/**
 * Sends a command, and again while the BMC is busy. A command that must not be sent twice is sent once.
 * @param waits milliseconds before each repetition
 * @throws CompletionCodeError, DecodeError, TransportError
 */
export async function sendPatiently<Q, P>(
  conversation: Conversation,
  command: Command<Q, P>,
  request: NoInfer<Q>,
  waits: readonly number[] = patient,
): Promise<P> {
  return repeatWhileBusy(conversation, command.repeatable ? waits : [], () => sendOnce(conversation, command, request));
}

/** Repeats `work` while the BMC is busy. */
export async function repeatWhileBusy<T>(
  { clock, signal }: Conversation,
  waits: readonly number[],
  work: () => Promise<T>,
): Promise<T> {
  for (const waitMs of waits) {
    try {
      return await work();
    } catch (error) {
      if (!isNotNow(error)) throw error;
      await clock.sleep(waitMs, signal);
    }
  }
  return work();
}

/** Runs `work` with a signal that ends it after `limitMs` or with `outer`. */
export async function withinLimit<T>(
  clock: Clock,
  limitMs: number,
  outer: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  const over = new AbortController();
  clock.sleep(limitMs, over.signal).then(
    () => limit.abort(new Error(`not done within ${limitMs / 1000} s`)),
    () => undefined,
  );
  try {
    return await work(AbortSignal.any([outer, limit.signal]));
  } finally {
    over.abort();
  }
}
