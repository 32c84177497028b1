import { getDeviceId } from "../ipmi/commands/get-device-id.ts";
import { CompletionCodeError, DecodeError, TransportError } from "../ipmi/errors.ts";
import { type Conversation, sendOnce, withinLimit } from "./conversation.ts";

/** What Get Device ID told of a BMC that is ready. */
export interface DeviceIdentity {
  /** For example "9.08". */
  readonly firmwareVersion: string;
  /** For example "2.0". */
  readonly ipmiVersion: string;
  /** IANA enterprise number; 0 is unspecified. */
  readonly manufacturerId: number;
  readonly productId: number;
}

/** The BMC is there but did not become ready. */
export class NotReadyError extends Error {
  override readonly name = "NotReadyError";
  readonly code = "not-ready";

  constructor(transport: string, waitedMs: number, seen: string, options?: ErrorOptions) {
    super(
      `${transport}: the BMC was not ready within ${Math.round(waitedMs / 1000)} s (${seen}). ` +
        "It may be booting or updating its firmware: run again in a few minutes; if that does not help, reset the BMC.",
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

/**
 * Waits until the BMC answers Get Device ID and says that it is in normal operation. A good first answer is enough: every
 * later command is repeated while the BMC says that it is busy. After a bad one it takes three good ones in a row.
 * @throws NotReadyError saying what was seen; the signal's reason if that ends the wait
 */
export async function waitUntilReady(conversation: Conversation, limitMs = readyLimitMs): Promise<DeviceIdentity> {
  const { clock, signal, transport } = conversation;
  const startedAt = clock.now();
  const bad = new Map<string, number>();
  let attempts = 0;
  let lastError: unknown;
  for (let good = 0; ; ) {
    attempts += 1;
    const answer = await ask(conversation, limitMs - (clock.now() - startedAt));
    if ("identity" in answer) {
      good += 1;
      if (bad.size === 0 || good === goodInARow) return answer.identity;
    } else {
      good = 0;
      bad.set(answer.problem, (bad.get(answer.problem) ?? 0) + 1);
      lastError = answer.error;
    }
    const pauseMs = good > 0 ? pauseAfterGoodMs : pauseAfterBadMs;
    const waitedMs = clock.now() - startedAt;
    if (waitedMs + pauseMs >= limitMs) {
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
    return {
      identity: {
        firmwareVersion: `${id.firmware.majorRevision}.${id.firmwareMinorRevisionBcd.toString(16).padStart(2, "0")}`,
        ipmiVersion: `${id.ipmiVersion.major}.${id.ipmiVersion.minor}`,
        manufacturerId: id.manufacturerId,
        productId: id.productId,
      },
    };
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
