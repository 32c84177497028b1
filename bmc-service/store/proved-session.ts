import { AccountState } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { AccountRow, Session } from "./store.ts";

/** Whether the session has made the account that was proved: it writes to this BMC. */
export function hasProved({ id }: Pick<Session, "id">, accounts: readonly AccountRow[]): boolean {
  return accounts.some(({ state, sessionId }) => state === AccountState.ACCOUNT_STATE_VERIFIED && sessionId === id);
}
