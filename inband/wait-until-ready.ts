import { getDeviceId } from "../ipmi/commands/get-device-id.ts";
import { CompletionCode } from "../ipmi/completion-code.ts";
import { type DeviceIdentity, deviceIdentity } from "../ipmi/device-identity.ts";
import { CompletionCodeError, DecodeError, TransportError } from "../ipmi/errors.ts";
import { isClosed } from "./closed-access.ts";
import { type Conversation, sendOnce, withinLimit } from "./send-once.ts";

/** Of a BMC that does not tell. */
export const unknownDevice: DeviceIdentity = { firmwareVersion: "", ipmiVersion: "", manufacturerId: 0, productId: 0 };

/** The BMC is there but did not become ready. */
export class NotReadyError extends Error {
  override readonly name = "NotReadyError";
  readonly code = "not-ready";

  constructor(transport: string, waitedMs: number, seen: string, options?: ErrorOptions) {
    super(
      `${transport}: the BMC was not ready within ${Math.round(waitedMs / 1000)} s (${seen}). ` +
        "It may be booting or updating its firmware: run again in a few minutes; if that does not help, reset the BMC, " +
        "or see whether its settings switch in-band access off.",
      options,
    );
  }
}

/** Default of how long a BMC may take to become ready: boards need up to 3 minutes after power comes back. */
export const readyLimitMs = 180_000;

/** After a bad answer that many good ones in a row are asked for: booting BMCs answer well in between. */
const goodInARow = 3;

const pauseAfterGoodMs = 250;
const pauseAfterBadMs = 1_000;

/** How long one Get Device ID is waited for, in milliseconds: a BMC that restarts must not be missed for a lost answer. */
const answerLimitMs = 15_000;

/**
 * How often in a row a code has to come until it is taken for a closed interface. No booting BMC was seen to say D4h, D5h or
 * D6h; one that boots may say C1h (OpenBMC), so that it counts only when the time is over.
 */
const refusalsUntilLocked: ReadonlyMap<number, number> = new Map([
  [CompletionCode.insufficientPrivilege, 3],
  [CompletionCode.notSupportedInPresentState, 15],
  [CompletionCode.subFunctionDisabled, 15],
]);
const refusalsAtTheEnd = 10;

/**
 * The BMC refuses Get Device ID, a command that every BMC has to know: it is there, but closed to its own machine.
 * Commands that its allowlist has may work all the same.
 */
export class DeviceIdRefusedError extends Error {
  override readonly name = "DeviceIdRefusedError";
  readonly code = "device-id-refused";
  override readonly cause: CompletionCodeError;

  constructor(transport: string, cause: CompletionCodeError) {
    super(`${transport}: ${cause.message}, and again: in-band access is locked`, { cause });
    this.cause = cause;
  }
}

/**
 * Waits until the BMC answers Get Device ID and says that it is in normal operation. A good first answer is enough: every
 * later command is repeated while the BMC says that it is busy. After a bad one it takes three good ones in a row.
 * @throws NotReadyError saying what was seen; DeviceIdRefusedError; the signal's reason if that ends the wait
 */
export async function waitUntilReady(conversation: Conversation, limitMs = readyLimitMs): Promise<DeviceIdentity> {
  const { identity } = await wait(conversation, limitMs, 1, "is not ready");
  return identity;
}

/**
 * Waits until the BMC is back from a restart.
 * @param after "silence": it takes three good answers in a row whatever the first one is; "busy": a good first one shows
 *   that it was not away
 * @returns whether it was away
 * @throws NotReadyError, the signal's reason
 */
export async function waitUntilBack(
  conversation: Conversation,
  limitMs: number,
  after: "silence" | "busy",
): Promise<boolean> {
  try {
    const { bad } = await wait(conversation, limitMs, after === "silence" ? goodInARow : 1, "is away");
    return bad > 0 || after === "silence";
  } catch (error) {
    // As refusing as it may have been from the beginning: it is there.
    if (error instanceof DeviceIdRefusedError) return after === "silence";
    throw error;
  }
}

/**
 * @param enough good answers in a row if there is no bad one
 * @param what it does while it is waited for
 */
async function wait(
  { pace, ...conversation }: Conversation,
  limitMs: number,
  enough: number,
  what: string,
): Promise<{ readonly identity: DeviceIdentity; readonly bad: number }> {
  const { clock, signal, transport } = conversation;
  const startedAt = clock.now();
  const bad = new Map<string, number>();
  let attempts = 0;
  let refusals = 0;
  let lastError: unknown;
  for (let good = 0; ; ) {
    attempts += 1;
    const answer = await ask(conversation, Math.min(limitMs - (clock.now() - startedAt), answerLimitMs));
    if ("identity" in answer) {
      good += 1;
      refusals = 0;
      if (good >= (bad.size === 0 ? enough : goodInARow)) {
        return { identity: answer.identity, bad: attempts - good };
      }
    } else {
      good = 0;
      if (bad.size === 0) {
        pace?.note(`The BMC ${what} (${answer.problem}): waiting for it up to ${Math.round(limitMs / 1000)} s.`);
      }
      bad.set(answer.problem, (bad.get(answer.problem) ?? 0) + 1);
      lastError = answer.error;
      refusals = isClosed(answer.error) ? refusals + 1 : 0;
      if (isClosed(answer.error) && refusals >= (refusalsUntilLocked.get(answer.error.completionCode) ?? Infinity)) {
        throw new DeviceIdRefusedError(transport.name, answer.error);
      }
    }
    const pauseMs = good > 0 ? pauseAfterGoodMs : pauseAfterBadMs;
    const waitedMs = clock.now() - startedAt;
    if (waitedMs + pauseMs >= limitMs) {
      if (isClosed(lastError) && refusals >= refusalsAtTheEnd)
        throw new DeviceIdRefusedError(transport.name, lastError);
      const seen = [...bad].map(([problem, times]) => `${times} times ${problem}`).join(", ");
      throw new NotReadyError(transport.name, waitedMs, `${attempts} tries: ${seen}`, { cause: lastError });
    }
    await clock.sleep(pauseMs, signal);
  }
}

type Answer = { readonly identity: DeviceIdentity } | { readonly problem: string; readonly error?: unknown };

async function ask(conversation: Conversation, leftMs: number): Promise<Answer> {
  const { clock, signal } = conversation;
  try {
    const id = await withinLimit(clock, leftMs, signal, (limited) =>
      sendOnce({ ...conversation, signal: limited }, getDeviceId, {}),
    );
    if (!id.firmware.deviceAvailable) return { problem: "firmware update or initialization in progress" };
    return { identity: deviceIdentity(id) };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof CompletionCodeError) {
      return { problem: `completion code ${error.completionCode.toString(16).toUpperCase()}h`, error };
    }
    if (error instanceof TransportError) return { problem: "no answer", error };
    if (error instanceof DecodeError) return { problem: "an answer that is cut short", error };
    throw error;
  }
}
