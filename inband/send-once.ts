import { type Command, send } from "../ipmi/command.ts";
import { CompletionCode } from "../ipmi/completion-code.ts";
import { CompletionCodeError, TransportError } from "../ipmi/errors.ts";
import type { Transport } from "../ipmi/transport.ts";
import type { Clock } from "./clock.ts";
import type { Pace } from "./pace.ts";

/** What talking to one BMC needs. */
export interface Conversation {
  readonly transport: Transport;
  readonly clock: Clock;
  /** Ends the conversation: the command that is under way and every wait. */
  readonly signal: AbortSignal;
  /** What was learnt of this BMC. Without it nothing is learnt, and a BMC that falls silent is not waited for. */
  readonly pace?: Pace;
}

/** The clock's time without that for which the BMC was away: what a slow BMC has to answer for. In milliseconds. */
export function presentMs({ clock, pace }: Pick<Conversation, "clock" | "pace">): number {
  return clock.now() - (pace?.waitedForReturnMs ?? 0);
}

/**
 * How long one command may take, in milliseconds. The kernel's driver may hold a command of a dead BMC for 50 s and
 * then answers FFh by itself.
 */
export const commandLimitMs = 60_000;

/** Whether a command changes the BMC. After a write some need a pause; one that broke off is looked at, not repeated. */
export type Effect = "read" | "write";

/**
 * The specification calls every command that changes nothing "Get" or "Read"; testing a password is sent as Set User
 * Password and changes nothing either (IPMI 2.0 §22.30).
 */
export function effectOf<Q>({ name }: Command<Q, unknown>, request: Q): Effect {
  const { action } = request as { action?: { operation?: string } };
  return /^(Get|Read) /.test(name) || action?.operation === "test" ? "read" : "write";
}

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
 * Sends a command once, after the pause that the BMC needs.
 * @throws CompletionCodeError, DecodeError, TransportError (also after `commandLimitMs`)
 */
export function sendOnce<Q, P>(conversation: Conversation, command: Command<Q, P>, request: NoInfer<Q>): Promise<P> {
  return once(conversation, effectOf(command, request), (limited) =>
    send(conversation.transport, command, request, limited),
  );
}

/** Does what sends one command, after the pause that the BMC needs, within `commandLimitMs`. */
export async function once<T>(
  { clock, signal, pace }: Conversation,
  effect: Effect,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  await pace?.beforeCommand(clock, signal);
  try {
    const value = await withinLimit(clock, commandLimitMs, signal, work);
    pace?.ended(effect, clock);
    return value;
  } catch (error) {
    const neverBegun = error instanceof TransportError && error.sent === "no";
    if (!isNotNow(error) && !neverBegun) pace?.ended(effect, clock);
    throw error;
  }
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
