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
 * What to try, in order: the newest account that was confirmed; every other one that is not retired, the newest first, those
 * that the BMC has refused before last; then pairs within one slot, because a crash between Set User Name and Set User
 * Password leaves the new name with the old password. At most `mostCandidates`, but a verified account is always among them.
 * One enrolment escrows several passwords under one name where the BMC refuses them: what is refused now is last the next time.
 * @param accounts newest first
 */
export function candidates(accounts: readonly AccountRow[]): Candidate[] {
  const living = accounts.filter(({ state }) => state !== AccountState.ACCOUNT_STATE_RETIRED);
  const confirmed = living.find(({ state }) => state === AccountState.ACCOUNT_STATE_CONFIRMED);
  const rank = (account: AccountRow) =>
    account === confirmed ? 0 : account.state === AccountState.ACCOUNT_STATE_REFUSED ? 2 : 1;
  const alone = living
    .toSorted((a, b) => rank(a) - rank(b))
    .map((account) => ({ nameOf: account, passwordOf: account }));
  // Nobody but its operator renames a given account.
  const made = living.filter(({ givenBy }) => givenBy === "");
  const pairs = made.flatMap((newer, i) =>
    made
      .slice(i + 1)
      .filter(({ slot, userName }) => slot === newer.slot && userName !== newer.userName)
      .flatMap((older) => [
        { nameOf: newer, passwordOf: older },
        { nameOf: older, passwordOf: newer },
      ]),
  );
  return firstOf(distinct([...alone.slice(0, mostCandidates - 1), ...pairs, ...alone.slice(mostCandidates - 1)]));
}

/** A login that was tried once is not tried again under the cover of another pair. */
function distinct(ordered: readonly Candidate[]): Candidate[] {
  const same = (a: Candidate, b: Candidate) =>
    a.nameOf.userName === b.nameOf.userName && a.passwordOf.password.equals(b.passwordOf.password);
  return ordered.filter((each, i) => !ordered.slice(0, i).some((earlier) => same(earlier, each)));
}

function firstOf(ordered: readonly Candidate[]): Candidate[] {
  const isVerified = ({ nameOf, passwordOf }: Candidate) =>
    nameOf === passwordOf && nameOf.state === AccountState.ACCOUNT_STATE_VERIFIED;
  const taken = ordered.slice(0, mostCandidates);
  const verified = ordered.find(isVerified);
  // Before the last one, which is a pair if there is any.
  if (verified !== undefined && !taken.includes(verified)) taken[mostCandidates - 2] = verified;
  return taken;
}
