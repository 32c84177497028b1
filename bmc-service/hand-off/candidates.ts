import { AccountState } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { readablePassword } from "../store/account-password.ts";
import type { AccountRow } from "../store/store.ts";

/** A user name and a password that may open the BMC; they come from two accounts after an interrupted change. */
export interface Candidate {
  readonly nameOf: AccountRow;
  readonly passwordOf: AccountRow;
}

/** BMCs lock users, or callers, out after some wrong passwords in a row; five is the lowest limit in common use. */
export const mostCandidates = 4;

/** Of a machine that dies in every run the oldest accounts are the least likely: each pair costs a comparison with all others. */
const mostMixed = 8;

/**
 * What to try, in order: the newest account that was confirmed; every other one that is not retired, the newest first; then
 * pairs within one slot, because a crash between Set User Name and Set User Password leaves the new name with the old
 * password; then what the BMC has refused before. At most `mostCandidates`, but a verified account is always among them.
 * One enrolment escrows several passwords under one name where the BMC refuses them, and runs that died one after the other
 * leave more pairs than one hand-off may try: with what was refused coming last, the next one goes on where it ended.
 * An account whose password is damaged in the database is left out.
 * @param accounts newest first
 * @param refusedBefore logins, see `loginId`, that hand-offs before this one tried in vain
 */
export function candidates(
  accounts: readonly AccountRow[],
  refusedBefore: ReadonlySet<string> = new Set(),
): Candidate[] {
  const ordered = allCandidates(accounts);
  const isNew = (each: Candidate) => !refusedBefore.has(loginId(each));
  return firstOf([...ordered.filter(isNew), ...ordered.filter((each) => !isNew(each))]);
}

/** What a login is remembered by. */
export function loginId({ nameOf, passwordOf }: Candidate): string {
  return `${nameOf.id} ${passwordOf.id}`;
}

/** What is to come last the next time; nothing as soon as all was refused, for a BMC that refused may not do so for ever. */
export function refusedByNow(
  accounts: readonly AccountRow[],
  refusedBefore: ReadonlySet<string>,
  refused: Iterable<Candidate>,
): ReadonlySet<string> {
  const all = new Set([...refusedBefore, ...[...refused].map(loginId)]);
  return allCandidates(accounts).every((each) => all.has(loginId(each))) ? new Set() : all;
}

function allCandidates(accounts: readonly AccountRow[]): Candidate[] {
  const living = accounts.filter(
    (account) => account.state !== AccountState.ACCOUNT_STATE_RETIRED && readablePassword(account) !== undefined,
  );
  const confirmed = living.find(({ state }) => state === AccountState.ACCOUNT_STATE_CONFIRMED);
  const whole = (account: AccountRow) => ({ nameOf: account, passwordOf: account });
  const isRefused = ({ state }: AccountRow) => state === AccountState.ACCOUNT_STATE_REFUSED;
  const hopeful = living
    .filter((each) => !isRefused(each))
    .toSorted((a, b) => Number(b === confirmed) - Number(a === confirmed))
    .map(whole);
  return distinct([
    ...hopeful.slice(0, mostCandidates - 1),
    ...mixed(living),
    ...hopeful.slice(mostCandidates - 1),
    ...living.filter(isRefused).map(whole),
  ]);
}

/** Pairs within one slot. The new name with the old password is what a crash leaves; the other way round a write was lost. */
function mixed(living: readonly AccountRow[]): Candidate[] {
  const isVerified = ({ state }: AccountRow) => state === AccountState.ACCOUNT_STATE_VERIFIED;
  const made = living
    // Nobody but its operator renames a given account.
    .filter(({ givenBy }) => givenBy === "")
    .filter((each, i) => i < mostMixed || isVerified(each));
  const pairs = made
    .flatMap((newer, i) =>
      made
        .slice(i + 1)
        .filter(({ slot, userName }) => slot === newer.slot && userName !== newer.userName)
        .map((older) => ({ newer, older })),
    )
    // The password that was proved is there still, unless a run got further than to its name.
    .toSorted((a, b) => Number(isVerified(b.older)) - Number(isVerified(a.older)));
  return [
    ...pairs.map(({ newer, older }) => ({ nameOf: newer, passwordOf: older })),
    ...pairs.map(({ newer, older }) => ({ nameOf: older, passwordOf: newer })),
  ];
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
