import { AccountState } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { AccountRow } from "../store/store.ts";

/** A user name and a password that may open the BMC; they come from two accounts after an interrupted change. */
export interface Candidate {
  readonly nameOf: AccountRow;
  readonly passwordOf: AccountRow;
}

/** BMCs lock users, or callers, out after some wrong passwords in a row; five is the lowest limit in common use. */
export const mostCandidates = 4;

/**
 * What to try, in order: every account that is not retired, those that the BMC has refused before last, the
 * newest first; then pairs within one slot, because a crash between Set User Name and Set User Password leaves the new
 * name with the old password. At most `mostCandidates`, but a verified account is always among them.
 * @param accounts newest first
 */
export function candidates(accounts: readonly AccountRow[]): Candidate[] {
  const living = accounts.filter(({ state }) => state !== AccountState.ACCOUNT_STATE_RETIRED);
  const isRefused = ({ state }: AccountRow) => state === AccountState.ACCOUNT_STATE_REFUSED;
  const whole = [...living.filter((each) => !isRefused(each)), ...living.filter(isRefused)];
  const alone = whole.map((account) => ({ nameOf: account, passwordOf: account }));
  const pairs = living.flatMap((newer, i) =>
    living
      .slice(i + 1)
      .filter(({ slot }) => slot === newer.slot)
      .flatMap((older) => [
        { nameOf: newer, passwordOf: older },
        { nameOf: older, passwordOf: newer },
      ]),
  );
  return firstOf([...alone.slice(0, mostCandidates - 1), ...pairs, ...alone.slice(mostCandidates - 1)]);
}

function firstOf(ordered: readonly Candidate[]): Candidate[] {
  const isVerified = ({ nameOf, passwordOf }: Candidate) =>
    nameOf === passwordOf && nameOf.state === AccountState.ACCOUNT_STATE_VERIFIED;
  const taken = ordered.slice(0, mostCandidates);
  const verified = ordered.find(isVerified);
  if (verified !== undefined && !taken.includes(verified)) taken[mostCandidates - 1] = verified;
  return taken;
}
