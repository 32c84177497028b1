import { getFruInventoryAreaInfo } from "../ipmi/commands/get-fru-inventory-area-info.ts";
import { readFruData } from "../ipmi/commands/read-fru-data.ts";
import { CompletionCode } from "../ipmi/completion-code.ts";
import { CompletionCodeError, DecodeError } from "../ipmi/errors.ts";
import type { Fru } from "../ipmi/fru/parse.ts";
import { FruReading } from "../ipmi/fru/reading.ts";
import { type Conversation, impatient, sendPatiently } from "./conversation.ts";
import { refusalText } from "./read-parameter.ts";

/** FRU device 0, or why there is none, or why it could not be read. */
export type FruRead =
  | Fru
  | { readonly state: "absent"; readonly reason: string }
  | { readonly state: "unreadable"; readonly reason: string };

/** FRU 0 is the board that holds the BMC; others belong to RAID cards and power supplies. IPMI 2.0 §34. */
const fruDeviceId = 0;

/**
 * Reads FRU device 0: its header and the areas in use, in pieces that the BMC takes.
 * @throws TransportError
 */
export async function readFru(conversation: Conversation): Promise<FruRead> {
  let begun = false;
  try {
    const info = await sendPatiently(conversation, getFruInventoryAreaInfo, { fruDeviceId }, impatient);
    if (info.areaSizeBytes === 0) return { state: "absent", reason: "its size is 0" };
    const reading = new FruReading(info);
    for (let piece = reading.next(); piece !== undefined; piece = reading.next()) {
      try {
        reading.received(await sendPatiently(conversation, readFruData, { fruDeviceId, ...piece }, impatient));
        begun = true;
      } catch (error) {
        if (!(error instanceof CompletionCodeError)) throw error;
        reading.refused(error);
      }
    }
    return reading.result();
  } catch (error) {
    if (error instanceof CompletionCodeError) {
      const reason = `${error.command}: ${refusalText(error)}`;
      return !begun && noFru.has(error.completionCode) ? { state: "absent", reason } : { state: "unreadable", reason };
    }
    if (error instanceof DecodeError) return { state: "unreadable", reason: error.message };
    throw error;
  }
}

/**
 * What BMCs without a FRU 0 answer to the first command or the first piece: CBh as specified, C3h, CEh and CCh on
 * Fujitsu, C9h on Dell R540, 81h on Lenovo ThinkServer, C1h where the BMC keeps no FRU at all.
 */
const noFru: ReadonlySet<number> = new Set([
  0x81,
  CompletionCode.invalidCommand,
  CompletionCode.timeout,
  CompletionCode.parameterOutOfRange,
  CompletionCode.notPresent,
  CompletionCode.invalidDataField,
  CompletionCode.responseNotProvided,
]);
