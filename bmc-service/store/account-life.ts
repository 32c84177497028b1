import { randomUUID } from "node:crypto";
import { AccountState, ChassisState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { InbandProof, PasswordForm } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { readablePassword } from "./account-password.ts";
import { forgetAccounts, requireRoom } from "./accounts-kept.ts";
import { claimOf, keepClaim } from "./conflicts.ts";
import type { Database } from "./database.ts";
import { inheritFormerAccounts } from "./former-accounts.ts";
import { settleFoundBmc } from "./found-bmc.ts";
import { tellMachine } from "./machines.ts";
import { settleReport, settleWeakLogins } from "./reported-facts.ts";
import { accountPlace } from "./rows.ts";
import {
  type AccountRow,
  type BmcKind,
  type BmcRow,
  type Confirmation,
  type GivenAccount,
  type HandOffFailure,
  type HandOffOutcome,
  type HandOffSuccess,
  MissingStepError,
  type NewAccount,
  type Session,
  type UnprovedPlace,
} from "./store.ts";
import type { Tables } from "./tables.ts";
import { endTokenUse } from "./tokens.ts";

/** The BMC that a session has reported, if it still belongs to the session's machine. */
function reportedBmc(tables: Tables, session: Session): BmcRow {
  const row = session.bmcKey === undefined ? undefined : tables.bmc(session.bmcKey);
  if (row === undefined) throw new MissingStepError("no BMC was reported by this session: call ReportBmc first");
  if (row.mac === "") {
    throw new MissingStepError(`machine ${session.machineUuid} has no BMC with a MAC address, so it has no accounts`);
  }
  if (row.machineKey !== session.machineKey) {
    throw new MissingStepError(`BMC ${row.mac} belongs to machine ${row.machineKey ?? "(none)"} now: begin again`);
  }
  return row;
}

/** See Store.escrowAccount. */
export function escrowAccount(tables: Tables, session: Session, account: NewAccount, now: Date): string {
  const row = reportedBmc(tables, session);
  const accounts = tables.accounts(row.key);
  const own = accounts.filter(({ sessionId }) => sessionId === session.id);
  const same = own.find(
    (each) =>
      each.userName === account.userName &&
      each.slot === account.slot &&
      readablePassword(each)?.equals(account.password),
  );
  if (same !== undefined) return same.id;
  requireRoom(tables, row, session, accounts);
  const id = insertAccount(tables, row.key, { ...account, sessionId: session.id }, now);
  if (own[0] !== undefined) inheritFormerAccounts(tables, id, own[0].id);
  setUnlessLinked(tables, row, State.STATE_ESCROWED, now);
  const detail = `account "${account.userName}" for slot ${account.slot}`;
  const { machineUuid } = session;
  tables.addHistory({ at: now, mac: row.mac, machineUuid, actor: "agent", action: "escrowed", detail });
  return id;
}

/** A row that is linked stays so while an account is on its way: nobody but a login can tell that it is not any more. */
function setUnlessLinked(tables: Tables, row: BmcRow, state: State, now: Date): void {
  if (row.state === State.STATE_LINKED) tables.changed(row.key);
  else tables.setState(row.key, state, "", now);
}

interface Maker {
  readonly sessionId?: string;
  readonly givenBy?: string;
}

/** @returns its id */
export function insertAccount(tables: Tables, bmcKey: string, account: NewAccount & Maker, now: Date): string {
  const id = randomUUID();
  tables.database.run(
    `INSERT INTO accounts (id, bmc_key, session_id, user_name, sealed_password, slot, channel, proof, state, state_reason, created_at,
       given_by)
     VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, '', ?, ?)`,
    id,
    bmcKey,
    account.sessionId ?? "",
    account.userName,
    tables.box.seal(account.password, accountPlace(id)),
    account.slot,
    InbandProof.INBAND_PROOF_UNSPECIFIED,
    AccountState.ACCOUNT_STATE_ESCROWED,
    now.getTime(),
    account.givenBy ?? "",
  );
  forgetAccounts(tables, bmcKey);
  return id;
}

/** See Store.confirmAccount. */
export function confirmAccount(
  tables: Tables,
  session: Session,
  accountId: string,
  { slot, channel, proof, passwordForm }: Confirmation,
  now: Date,
): void {
  const row = reportedBmc(tables, session);
  const accounts = tables.accounts(row.key);
  const account = accounts.find(({ id }) => id === accountId);
  if (account === undefined) {
    throw new MissingStepError(`BMC ${row.mac} has no account with that id in escrow: call EscrowAccount first`);
  }
  const told = row.reportedFacts ?? row.facts;
  // Again, or late: what came after the confirmation is not undone by it.
  if (account.state !== AccountState.ACCOUNT_STATE_ESCROWED) return;
  tables.database.run(
    `UPDATE accounts SET state = ?, state_reason = '', slot = ?, channel = ?, proof = ?, password_form = ?, manufacturer_id = ?,
       product_id = ?, firmware_version = ? WHERE id = ?`,
    AccountState.ACCOUNT_STATE_CONFIRMED,
    slot,
    channel,
    proof,
    passwordForm,
    told?.manufacturerId ?? 0,
    told?.productId ?? 0,
    told?.firmwareVersion ?? "",
    accountId,
  );
  if (accounts[0]?.id === accountId) setUnlessLinked(tables, row, State.STATE_CONFIRMED, now);
  const how =
    proof === InbandProof.INBAND_PROOF_PASSWORD_TESTED
      ? "password tested on the BMC"
      : "read back; the BMC cannot test passwords";
  const detail = `account "${account.userName}" in slot ${slot}, channel ${channel}: ${how}`;
  const { machineUuid } = session;
  tables.addHistory({ at: now, mac: row.mac, machineUuid, actor: "agent", action: "confirmed", detail });
}

/** See Store.settleHandOff. */
export function settleHandOff(tables: Tables, key: string, outcome: HandOffOutcome, now: Date): void {
  const row = tables.bmc(key);
  if (row === undefined) return;
  const accounts = tables.accounts(key);
  const newerThanKnown = accounts.some(({ id }) => !outcome.considered.includes(id));
  const known = accounts.filter(({ id }) => outcome.considered.includes(id));
  switch (outcome.kind) {
    case "handed off":
      settleSuccess(tables, row, known, outcome, newerThanKnown, now);
      addOutcome(tables, row, "linked", outcome.detail, now);
      break;
    case "failed":
      settleFailure(tables, row, known, outcome, newerThanKnown, now);
      break;
    default:
      outcome satisfies never;
  }
}

function settleSuccess(
  tables: Tables,
  row: BmcRow,
  known: readonly AccountRow[],
  outcome: HandOffSuccess,
  newerThanKnown: boolean,
  now: Date,
): void {
  const named = known.find(({ id }) => id === outcome.nameOf);
  const secret = known.find(({ id }) => id === outcome.passwordOf);
  // The row was deleted and made anew meanwhile: nothing of the outcome is about it.
  if (named === undefined || secret === undefined) return;
  const mixed = named.id !== secret.id;
  const winner = mixed ? insertAccount(tables, row.key, { ...named, password: secret.password }, now) : named.id;
  if (mixed) inheritFormerAccounts(tables, winner, named.id);
  for (const account of known) {
    if (account.id === winner || account.state === AccountState.ACCOUNT_STATE_RETIRED) continue;
    const refused = outcome.refused.includes(account.id) && !mixed;
    const state = refused ? AccountState.ACCOUNT_STATE_REFUSED : AccountState.ACCOUNT_STATE_RETIRED;
    const reason = refused
      ? `the BMC refused it while account "${named.userName}" got in`
      : `account "${named.userName}" was verified`;
    tables.setAccountState(account.id, state, reason);
  }
  const given = named.givenBy === "" ? "" : `given by operator "${named.givenBy}"`;
  const reason = mixed
    ? "name of one account with the password of another: a change was interrupted between them"
    : given;
  tables.database.run(
    "UPDATE accounts SET state = ?, state_reason = ?, slot = ?, channel = ?, verified_at = ? WHERE id = ?",
    AccountState.ACCOUNT_STATE_VERIFIED,
    reason,
    named.slot || outcome.slot,
    named.channel || (row.facts?.channel ?? 0),
    now.getTime(),
    winner,
  );
  const { acceptedClaim } = row;
  const isMade = acceptedClaim?.machineUuid === row.machineUuid && acceptedClaim?.separate !== true;
  const stillToCome = isMade ? undefined : acceptedClaim;
  forgetSeparated(tables, row);
  tables.database.run(
    `UPDATE bmcs SET verified_at = ?, remote_guid = coalesce(nullif(?, ''), remote_guid), chassis = coalesce(?, chassis),
       accepted_claim = ? WHERE key = ?`,
    now.getTime(),
    outcome.remoteGuid,
    outcome.chassis === undefined ? null : ChassisState.encode(outcome.chassis).finish(),
    stillToCome === undefined ? null : JSON.stringify(stillToCome),
    row.key,
  );
  noteGuid(tables, row, outcome.remoteGuid, now);
  endTokenUse(tables.database, named.sessionId);
  // It has written to this machine's BMC, so it is this machine. One that had been proved before has told all by then.
  const isFirst = secret.state !== AccountState.ACCOUNT_STATE_VERIFIED;
  if (isFirst && row.machineKey !== undefined) tellMachine(tables, secret.sessionId, row.machineKey, now);
  if (newerThanKnown) tables.setRemark(row, row.stateReason, now);
  else tables.setState(row.key, State.STATE_LINKED, "", now);
  if (!mixed) rememberPasswordForm(tables, named, now);
  settleWeakLogins(tables, row.key, outcome.weakLogins);
  settleReport(tables, row.key, outcome, secret.sessionId, now);
}

/** A further machine with that UUID, which an operator has accepted beside a proved one, is proved itself. */
function forgetSeparated(tables: Tables, { mac, machineUuid }: BmcRow): void {
  for (const { key, acceptedClaim } of tables.bmcsOfUuid(machineUuid ?? "")) {
    if (acceptedClaim?.separate !== true || acceptedClaim.claimedMac !== mac) continue;
    tables.database.run("UPDATE bmcs SET accepted_claim = NULL WHERE key = ?", key);
  }
}

/** Some BMCs get another GUID with their firmware. */
function noteGuid(tables: Tables, row: BmcRow, remoteGuid: string, now: Date): void {
  if (row.remoteGuid === "" || remoteGuid === "" || remoteGuid === row.remoteGuid) return;
  addOutcome(tables, row, "GUID changed", `from ${row.remoteGuid} to ${remoteGuid}, told by remote login`, now);
}

/** What a BMC took, others of its kind will take. An account that was verified before has told it before, of the firmware then. */
function rememberPasswordForm(tables: Tables, { state, passwordForm, kind }: AccountRow, now: Date): void {
  if (state === AccountState.ACCOUNT_STATE_VERIFIED || kind.manufacturerId === 0) return;
  if (passwordForm === PasswordForm.PASSWORD_FORM_UNSPECIFIED) return;
  tables.database.run(
    `INSERT INTO password_forms (manufacturer_id, product_id, firmware_version, form, proved_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET form = excluded.form, proved_at = excluded.proved_at`,
    kind.manufacturerId,
    kind.productId,
    kind.firmwareVersion,
    passwordForm,
    now.getTime(),
  );
}

/** See Store.passwordForm. */
export function passwordForm(database: Database, kind: BmcKind): PasswordForm | undefined {
  const found = database.get(
    "SELECT form FROM password_forms WHERE manufacturer_id = ? AND product_id = ? AND firmware_version = ?",
    kind.manufacturerId,
    kind.productId,
    kind.firmwareVersion,
  );
  return found && (Number(found.form) as PasswordForm);
}

/** See Store.adoptAccount. */
export function adoptAccount(
  tables: Tables,
  before: BmcRow,
  given: GivenAccount,
  proof: HandOffSuccess,
  considered: readonly string[],
  actor: string,
  now: Date,
): string {
  const row = settleFoundBmc(tables, given.address, before, proof, now);
  const same = tables
    .accounts(row.key)
    .find((each) => each.userName === given.userName && readablePassword(each)?.equals(given.password));
  const id = same?.id ?? insertAccount(tables, row.key, { ...given, slot: proof.slot, givenBy: actor }, now);
  const accounts = tables.accounts(row.key);
  // Nobody makes an account for a BMC that is no machine's: those of a row that was found belong to the past.
  const isFound = row.key !== before.key;
  const known = accounts.filter((each) => isFound || each.id === id || considered.includes(each.id));
  const outcome = { ...proof, nameOf: id, passwordOf: id };
  settleSuccess(tables, row, known, outcome, known.length < accounts.length, now);
  const { machineUuid = "" } = row;
  const detail = `account "${given.userName}": ${proof.detail}`;
  tables.addHistory({ at: now, mac: row.mac, machineUuid, actor, action: "account given", detail });
  return row.key;
}

function settleFailure(
  tables: Tables,
  row: BmcRow,
  known: readonly AccountRow[],
  outcome: HandOffFailure,
  newerThanKnown: boolean,
  now: Date,
): void {
  for (const account of known) {
    // The last account that is known to have worked stays what it is until another one is proved.
    const settled =
      account.state === AccountState.ACCOUNT_STATE_VERIFIED || account.state === AccountState.ACCOUNT_STATE_RETIRED;
    if (settled || !outcome.refused.includes(account.id)) continue;
    tables.setAccountState(account.id, AccountState.ACCOUNT_STATE_REFUSED, "the BMC refused it over the network");
  }
  if (!newerThanKnown) tables.setState(row.key, State.STATE_FAILED, outcome.reason, now);
  addOutcome(tables, row, "hand-off failed", outcome.reason, now);
  if (outcome.claim !== undefined) keepPlace(tables, row, outcome.claim, now);
}

function keepPlace(tables: Tables, row: BmcRow, place: UnprovedPlace, now: Date): void {
  const session = { id: place.sessionId, machineUuid: row.machineUuid ?? "" };
  const claim = claimOf(tables, session, place);
  if (keepClaim(tables, row, session, claim, place.text, now)) addOutcome(tables, row, "conflict", place.text, now);
}

function addOutcome(tables: Tables, row: BmcRow, action: string, detail: string, now: Date): void {
  const machineUuid = row.machineUuid ?? "";
  tables.addHistory({ at: now, mac: row.mac, machineUuid, actor: "service", action, detail });
}
