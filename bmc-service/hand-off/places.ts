import { isBogusUuid, sameGuid, uuidForms } from "../../ipmi/guid.ts";
import { AccountState, BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import { type AddressMap, reachableAt } from "../reach/bmc-address.ts";
import { shownAddress } from "../reach/told-endpoint.ts";
import { isPlaceProved, placeOf } from "../store/claim.ts";
import { tellsNewAddress, tellsOtherPlace } from "../store/reported-facts.ts";
import type { AccountRow, BmcRow, HandOffOutcome, HandOffSuccess, UnprovedPlace } from "../store/store.ts";
import { HandOffError } from "./hand-off-error.ts";
import type { Subject, TakeOver } from "./take-over.ts";

/*
 * What was proved of a BMC is where it is, and its GUID. Who reports another place may have a BMC of their own there, with the right
 * MAC address and GUID and an account that they have put into escrow. So at another place, or under another GUID, only a password
 * counts that nobody but the service and the BMC (or an operator) knows. At the place that was proved any account counts: a BMC that was set
 * back to what it was in the factory has a new one only.
 */

/** Of a BMC that was never reported. */
const noFacts = BmcFacts.fromPartial({});

/** Where to go, and what the BMC there must turn out to be. */
interface Place {
  readonly row: BmcRow;
  readonly facts: BmcFacts;
  readonly endpoint: Endpoint | undefined;
  /** Another LAN channel by which the BMC was known before. */
  readonly knownBy?: BmcFacts | undefined;
}

/** How a row is taken over. */
export interface Travel {
  readonly addresses: AddressMap;
  /** Ids of accounts that an operator vouches for, see store/vouched.ts. */
  readonly vouched: ReadonlySet<string>;
  readonly takeOver: (row: BmcRow, facts: BmcFacts, by: By) => Promise<TakeOver>;
  readonly signal: AbortSignal;
}

export type By = Pick<Subject, "accounts" | "refusedBefore" | "knownBy" | "tryLogin" | "remedy">;

/** A BMC that let in an account which proves nothing there. */
export type Doubted = TakeOver & { readonly doubt?: UnprovedPlace };

/**
 * Goes where the agent has reported a proved BMC, if that is at another address than it was: what is done there keeps nobody from the
 * BMC where it was proved. Undefined if there is no such place.
 */
export async function visitElsewhere(travel: Travel, row: BmcRow, by: By): Promise<Doubted | undefined> {
  const reported = reportedPlace(travel, row);
  if (reported === undefined || isSameEndpoint(knownPlace(travel, row), reported)) return undefined;
  return withReport(await visit(travel, row, reported, by), reported.facts);
}

/**
 * Goes where the agent has reported the BMC. If it is proved, and not there, it is sought where it was before: what was proved stays
 * until something else is. What only an unproved account speaks for is no hand-off, but a claim.
 * @param elsewhere what came of visitElsewhere, if it was called before
 */
export async function takeOverProved(travel: Travel, row: BmcRow, by: By, elsewhere?: Doubted): Promise<TakeOver> {
  const known = knownPlace(travel, row);
  const reported = reportedPlace(travel, row);
  if (reported === undefined) return asClaim(withDescription(await visit(travel, row, known, by), row));
  const isElsewhere = !isSameEndpoint(known, reported);
  const first = elsewhere ?? withReport(await visit(travel, row, reported, by), reported.facts);
  if (first.failure === undefined || first.outcome.kind === "handed off" || travel.signal.aborted) return first;
  if (!isElsewhere && first.failure.kind !== FailureKind.FAILURE_KIND_OTHER_BMC) return first;
  const second = await visit(travel, row, known, isElsewhere ? by : { ...by, refusedBefore: first.refusedBefore });
  return asClaim(first.doubt === undefined ? second : { ...second, doubt: first.doubt });
}

/** What was reported turned out to be so. */
function withReport(result: Doubted, reported: BmcFacts): Doubted {
  if (result.outcome.kind !== "handed off") return result;
  const outcome = { ...result.outcome, reported };
  return { ...result, outcome };
}

/** What else was reported of the BMC that is where it was known to be. */
function withDescription(result: Doubted, { facts = noFacts, reportedFacts }: BmcRow): Doubted {
  const isOfThere = reportedFacts !== undefined && !tellsOtherPlace(facts, reportedFacts);
  return isOfThere ? withReport(result, reportedFacts) : result;
}

function knownPlace({ addresses }: Pick<Travel, "addresses">, row: BmcRow): Place {
  return { row, facts: row.facts ?? noFacts, endpoint: reachableAt(row, addresses) };
}

/** Undefined if no other place was reported than is known, or no address. */
function reportedPlace({ addresses }: Pick<Travel, "addresses">, row: BmcRow): Place | undefined {
  const { facts = noFacts, reportedFacts: reported } = row;
  if (reported === undefined || !tellsOtherPlace(facts, reported)) return undefined;
  const moved = { ...row, facts: reported, givenAddress: tellsNewAddress(facts, reported) ? "" : row.givenAddress };
  const endpoint = reachableAt(moved, addresses);
  const knownBy = reported.mac === facts.mac ? undefined : facts;
  return endpoint && { row: moved, facts: reported, endpoint, knownBy };
}

/** Whether an agent reports a BMC at another place than the one that was proved. */
export function isMoved(row: BmcRow, accounts: readonly AccountRow[], addresses: AddressMap): boolean {
  const reported = reportedPlace({ addresses }, row);
  return (
    reported !== undefined && isPlaceProved(row, accounts) && !isSamePlace(knownPlace({ addresses }, row), reported)
  );
}

function isSameEndpoint({ endpoint: one }: Place, { endpoint: other }: Place): boolean {
  return one !== undefined && other !== undefined && formatEndpoint(one) === formatEndpoint(other);
}

function isSamePlace(one: Place, other: Place): boolean {
  return isSameEndpoint(one, other) && one.facts.mac === other.facts.mac && one.facts.channel === other.facts.channel;
}

/** Tries all accounts at one place, and the trusted ones alone where another one got in and that is not enough. */
async function visit(travel: Travel, row: BmcRow, place: Place, by: By): Promise<Doubted> {
  const { accounts } = by;
  const trusted = isPlaceProved(row, accounts) ? accounts.filter((each) => isTrusted(each, travel)) : accounts;
  const { knownBy } = place;
  const go = (some: readonly AccountRow[]) =>
    travel.takeOver(place.row, place.facts, { ...by, accounts: some, knownBy });
  const all = await go(accounts);
  const mayTryAgain = !travel.signal.aborted && trusted.length > 0 && trusted.length < accounts.length;
  if (all.failure !== undefined) {
    if (!mayTryAgain || !mayHaveBeenAnothers(all.failure)) return all;
    const own = await go(trusted);
    // The row is as good as before. Who asked hears why the account that was made does not do.
    return own.failure === undefined ? { ...own, outcome: ofAll(own.outcome, all.outcome), failure: all.failure } : all;
  }
  const doubt = doubtAbout(travel, row, place, accounts, trusted, all.outcome);
  if (doubt === undefined) return all;
  // The known account proves the place, and with it the new one.
  if (mayTryAgain && (await go(trusted)).failure === undefined) return all;
  const failure = new HandOffError(FailureKind.FAILURE_KIND_OTHER_BMC, doubt.text);
  const { considered } = all.outcome;
  const outcome = { kind: "failed", considered, refused: [], reason: doubt.text } as const;
  return { outcome, failure, refusedBefore: by.refusedBefore ?? new Set(), doubt };
}

/** Whether only the service, the BMC that was proved and an operator know its password. */
function isTrusted({ id, state, sessionId }: AccountRow, { vouched }: Travel): boolean {
  return state === AccountState.ACCOUNT_STATE_VERIFIED || sessionId === "" || vouched.has(id);
}

/** Whether an account got in that did not do, so that no further one was tried. */
function mayHaveBeenAnothers({ kind }: HandOffError): boolean {
  return (
    kind === FailureKind.FAILURE_KIND_PRIVILEGE ||
    kind === FailureKind.FAILURE_KIND_OTHER_BMC ||
    kind === FailureKind.FAILURE_KIND_PROTOCOL
  );
}

/** What one account has proved, of all that were tried. */
function ofAll(proved: HandOffSuccess, { considered, refused }: HandOffOutcome): HandOffSuccess {
  return { ...proved, considered, refused: [...new Set([...proved.refused, ...refused])] };
}

/** Why what got in proves nothing there; undefined if it does. */
function doubtAbout(
  { addresses }: Travel,
  row: BmcRow,
  place: Place,
  accounts: readonly AccountRow[],
  trusted: readonly AccountRow[],
  { nameOf, passwordOf, remoteGuid }: HandOffSuccess,
): UnprovedPlace | undefined {
  // The password is what both sides prove to know; a name is no secret.
  if (trusted.some(({ id }) => id === passwordOf)) return undefined;
  const known = knownPlace({ addresses }, row);
  const isKnownPlace = isSamePlace(known, place);
  if (isKnownPlace && isKnownGuid(row.remoteGuid, remoteGuid)) return undefined;
  const { claimedMac, claimedAddress, claimedGuid: told } = placeOf(place.facts);
  const claim = { claimedMac, claimedAddress, claimedGuid: told || remoteGuid };
  if (isAcceptedThere(row, claim)) return undefined;
  const made = accounts.find(({ id }) => id === passwordOf);
  const userName = accounts.find(({ id }) => id === nameOf)?.userName;
  const where = (at: Place) => (at.endpoint === undefined ? "an unknown address" : shownAddress(at.endpoint));
  const guid = (text: string) => (text === "" ? "no GUID" : `GUID ${text}`);
  const text =
    `the new account "${userName}" opens a BMC with MAC ${claimedMac}, channel ${place.facts.channel}, at ${where(place)}, which tells ` +
    `${guid(remoteGuid)}. BMC ${row.mac} was proved at ${where(known)}, channel ${known.facts.channel}, with ${guid(row.remoteGuid)}, ` +
    "and no account that was proved opens it now. If it is the same BMC, an admin accepts the claim (bmcctl conflicts) and the " +
    `machine boots again, or it enrols with a token of its own (bmcctl token create --machine ${row.machineUuid})`;
  return { ...claim, sessionId: made?.sessionId ?? "", text };
}

/** BMCs send one GUID in three byte orders. One that was never told, or is a placeholder, says nothing. */
function isKnownGuid(proved: string, now: string): boolean {
  const forms = (hex: string) => uuidForms(Buffer.from(hex, "hex"));
  if (proved === "" || isBogusUuid(forms(proved).rfc4122)) return true;
  return now !== "" && Object.values(forms(proved)).some((form) => sameGuid(form, Buffer.from(now, "hex")));
}

/** Whether an operator has accepted that this machine's BMC is there. */
function isAcceptedThere({ acceptedClaim, machineUuid }: BmcRow, claim: ReturnType<typeof placeOf>): boolean {
  return (
    acceptedClaim !== undefined &&
    acceptedClaim.machineUuid === machineUuid &&
    acceptedClaim.claimedMac === claim.claimedMac &&
    acceptedClaim.claimedAddress === claim.claimedAddress &&
    (acceptedClaim.claimedGuid === claim.claimedGuid || acceptedClaim.claimedGuid === "")
  );
}

/** Nothing that was proved opens the BMC: an operator decides, and until then no account is less likely than before. */
function asClaim({ doubt, ...result }: Doubted): TakeOver {
  if (doubt === undefined || result.outcome.kind !== "failed") return result;
  const failure = new HandOffError(FailureKind.FAILURE_KIND_OTHER_BMC, doubt.text, { cause: result.failure });
  return { ...result, outcome: { ...result.outcome, refused: [], reason: doubt.text, claim: doubt }, failure };
}
