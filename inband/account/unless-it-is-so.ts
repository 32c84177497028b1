import { CompletionCodeError } from "../../ipmi/errors.ts";
import { InterruptedWriteError } from "../conversation.ts";
import { isLocked } from "./inband-locked.ts";

/** How often a write is sent that breaks off: a BMC that restarts over every write would never be done. */
export const mostSends = 3;

/**
 * Sends a write. Where the answer was not a plain 00h, looks whether the BMC has it all the same; a write that broke off,
 * because the BMC fell silent or reset, is sent again if it is not so.
 * @throws CompletionCodeError, InterruptedWriteError, and what `isSo` throws
 */
export async function unlessItIsSo(send: () => Promise<unknown>, isSo: () => Promise<boolean>): Promise<void> {
  for (let sends = 1; ; sends += 1) {
    try {
      await send();
      return;
    } catch (error) {
      const brokeOff = error instanceof InterruptedWriteError;
      if ((!brokeOff && !(error instanceof CompletionCodeError)) || isLocked(error)) throw error;
      if (await isSo()) return;
      if (!brokeOff || sends === mostSends) throw error;
    }
  }
}
