import { getFruInventoryAreaInfo } from "../ipmi/commands/get-fru-inventory-area-info.ts";
import { readFruData } from "../ipmi/commands/read-fru-data.ts";
import { CompletionCode } from "../ipmi/completion-code.ts";
import { CompletionCodeError, DecodeError } from "../ipmi/errors.ts";
import type { Fru } from "../ipmi/fru/parse.ts";
import { type FruPiece, FruReading } from "../ipmi/fru/reading.ts";
import { type Conversation, impatient, NoAnswerError, presentMs, sendPatiently } from "./conversation.ts";
import { isRefusal, refusalText } from "./read-parameter.ts";

/** FRU device 0, or why there is none, or why it could not be read. */
export type FruRead =
  | Fru
  | { readonly state: "absent"; readonly reason: string }
  | { readonly state: "unreadable"; readonly reason: string };

/** FRU 0 is the board that holds the BMC; others belong to RAID cards and power supplies. IPMI 2.0 §34. */
const fruDeviceId = 0;

/**
 * Reads FRU device 0: its header and the areas in use, in pieces that the BMC takes.
 * @param limitMs milliseconds after which no further piece is asked for; what was read until then counts
 * @throws TransportError, NotReadyError
 */
export async function readFru(conversation: Conversation, limitMs = 60_000): Promise<FruRead> {
  const until = presentMs(conversation) + limitMs;
  let reading: FruReading;
  try {
    const info = await sendPatiently(conversation, getFruInventoryAreaInfo, { fruDeviceId }, impatient);
    if (info.areaSizeBytes === 0) return { state: "absent", reason: "its size is 0" };
    reading = new FruReading(info);
  } catch (error) {
    return withoutFru(error, absentByInfo);
  }
  try {
    await readPieces(conversation, reading, until);
    return reading.result();
  } catch (error) {
    return withoutFru(error, absentByFirstPiece);
  }
}

/** @throws CompletionCodeError, DecodeError, NoAnswerError if not even the header could be read */
async function readPieces(conversation: Conversation, reading: FruReading, until: number): Promise<void> {
  let isFirst = true;
  for (let piece = reading.next(); piece !== undefined; piece = reading.next()) {
    // A driver that answers FFh for a BMC which does not answer takes a minute for it: for no smaller piece again.
    if (!isFirst && presentMs(conversation) >= until) return;
    isFirst = false;
    try {
      reading.received(await readPiece(conversation, piece));
    } catch (error) {
      // After a command without an answer the BMC is asked no more; what came before counts.
      if (error instanceof NoAnswerError && piece.offset > 0) return;
      if (!(error instanceof CompletionCodeError || error instanceof DecodeError)) throw error;
      reading.refused(error);
    }
  }
}

/** 81h is "FRU device busy" here. IPMI 2.0 §34.2. */
async function readPiece(conversation: Conversation, piece: FruPiece) {
  const read = () => sendPatiently(conversation, readFruData, { fruDeviceId, ...piece }, impatient);
  for (const waitMs of busyWaitsMs) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof CompletionCodeError) || error.completionCode !== fruBusy) throw error;
      await conversation.clock.sleep(waitMs, conversation.signal);
    }
  }
  return read();
}

const fruBusy = 0x81;
const busyWaitsMs: readonly number[] = [100, 400, 1_000];

/** Only a documented code says that there is no FRU; whatever else goes wrong says nothing about that. */
function withoutFru(error: unknown, absent: ReadonlySet<number>): FruRead {
  if (!isRefusal(error)) throw error;
  if (!(error instanceof CompletionCodeError)) return { state: "unreadable", reason: error.message };
  const reason = `${error.command}: ${refusalText(error)}`;
  return { state: absent.has(error.completionCode) ? "absent" : "unreadable", reason };
}

/** CBh as specified, C3h, C9h (Dell R540), 81h (Lenovo ThinkServer). */
const absentByInfo: ReadonlySet<number> = new Set([
  0x81,
  CompletionCode.timeout,
  CompletionCode.parameterOutOfRange,
  CompletionCode.notPresent,
]);

/** Fujitsu RX1330 knows a size and refuses the first piece with CCh, C3h or CEh. */
const absentByFirstPiece: ReadonlySet<number> = new Set([
  ...absentByInfo,
  CompletionCode.invalidDataField,
  CompletionCode.responseNotProvided,
]);
