import { send } from "../../ipmi/command.ts";
import { getUserAccess } from "../../ipmi/commands/get-user-access.ts";
import { getUserName } from "../../ipmi/commands/get-user-name.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import type { Transport } from "../../ipmi/transport.ts";
import { unfilledName } from "../../ipmi/user-name.ts";
import { isBusy } from "./hand-off-error.ts";

/** User IDs that are looked at where a BMC does not say how many it has. */
const usualUserIds = 16;

/**
 * The user ID that has that name. IPMI 2.0 §22.27, §22.29. Changes nothing.
 * @returns 0 if none is found; a slot that the BMC refuses to tell is passed over, for it may be an empty one
 * @throws the errors of `send`, and CompletionCodeError if the BMC refuses Get User Access, or while it is busy
 */
export async function findSlot(
  bmc: Transport,
  channelNumber: number,
  userName: string,
  signal: AbortSignal,
): Promise<number> {
  const { maxUserIds } = await send(bmc, getUserAccess, { channelNumber, userId: 1 }, signal);
  for (let userId = 1; userId <= (maxUserIds || usualUserIds); userId += 1) {
    try {
      const found = await send(bmc, getUserName, { userId }, signal);
      if (unfilledName(found.userName) === userName) return userId;
    } catch (error) {
      if (!(error instanceof CompletionCodeError) || isBusy(error)) throw error;
    }
  }
  return 0;
}
