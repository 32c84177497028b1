import { AccountState, BmcFacts, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { NoBmc } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { isAccepted, isPlaceProved, isProved, isWorking, noPlace, otherFound, placeOf } from "./claim.ts";
import { claimOf, keepClaim } from "./conflicts.ts";
import { followChannel, reporterOf, settleSession } from "./machines.ts";
import { addressOf, isNews, overlay, sameFacts, takeReport, tellsNewAddress } from "./reported-facts.ts";
import type { Abort, BmcRow, Claim, Session } from "./store.ts";
import { accountInUse, type Tables } from "./tables.ts";
import { unprovedText, withUnproved } from "./unproved-text.ts";

/** What a report became: a row, or the conflict that was noted instead. */
export type Reported = { readonly row: BmcRow } | { readonly conflict: string };

/** See Store.reportBmc. */
export function reportBmc(tables: Tables, session: Session, reported: BmcFacts, now: Date): Reported {
  const { machineUuid } = session;
  const { mac } = reported;
  if (mac === "") return reportHiddenBmc(tables, session, reported, now);
  const key = followChannel(tables, session, reported, now);
  const claim = claimOf(tables, session, placeOf(reported));
  const machineKey = reporterOf(tables, session, key, claim, now);
  if (typeof machineKey !== "string")
    return conflict(tables, machineKey.contradicts, session, claim, machineKey.text, now);
  const known = tables.bmc(key);
  const former = tables.bmcOfMachine(machineKey);
  if (former !== undefined && former.key !== key) leave(tables, former, `it reports BMC ${mac} now`, now);

  const history = (action: string, detail: string) =>
    tables.addHistory({ at: now, mac: key, machineUuid, actor: "agent", action, detail });
  const from = known?.facts;
  const told = from !== undefined && reported.channels.length === 0 ? overlay(from, reported) : reported;
  const { facts, reportedFacts } = known === undefined ? { facts: told } : takeReport(tables, known, session, told);
  if (known === undefined) {
    insertRow(tables, { key: mac, mac, machineKey, drivers: ["IPMI"], state: State.STATE_REPORTED, facts }, now);
    history("reported", `BMC at ${addressOf(facts)}, firmware ${facts.firmwareVersion || "not told"}`);
  } else {
    const moved = known.machineKey !== machineKey;
    if (moved || from === undefined || !same(from, facts) || !same(known.reportedFacts, reportedFacts)) {
      tables.database.run(
        "UPDATE bmcs SET machine_key = ?, facts = ?, reported_facts = ?, given_address = ?, changed_at = ? WHERE key = ?",
        machineKey,
        BmcFacts.encode(facts).finish(),
        reportedFacts === undefined ? null : BmcFacts.encode(reportedFacts).finish(),
        tellsNewAddress(from, facts) ? "" : known.givenAddress,
        now.getTime(),
        key,
      );
    }
    tables.database.run("UPDATE bmcs SET reported_by = ? WHERE key = ?", session.id, key);
    tables.changed(key);
    if (moved) history("moved", `from ${known.machineKey ?? "no machine"} to machine ${machineKey}`);
    else if (from === undefined || isNews(from, facts)) history("facts changed", `BMC at ${addressOf(facts)}`);
    const elsewhere = reportedFacts === undefined ? addressOf(facts) : addressOf(reportedFacts);
    if (elsewhere !== addressOf(facts) && !same(known.reportedFacts, reportedFacts)) {
      history("address reported", `${elsewhere}; ${addressOf(facts)} stays until a login there has proved it`);
    }
    if (moved) tables.changedTwins(known);
    if (moved) unlink(tables, known, `machine ${machineUuid} has it now; not proved until its account is`, now);
    if (moved && known.verifiedAt !== undefined) standAlone(tables, known, machineKey, now);
  }
  return remember(tables, session, machineKey, key, known?.machineKey !== machineKey, now);
}

/** The BMC is there, but tells no MAC address: it is the machine's own, or one of which nothing else is known. */
function reportHiddenBmc(tables: Tables, session: Session, facts: BmcFacts, now: Date): Reported {
  const { machineKey, machineUuid } = session;
  const present = tables.bmcOfMachine(machineKey);
  if (present !== undefined && present.mac !== "")
    return remember(tables, session, machineKey, present.key, false, now);
  const reason = "the BMC tells no MAC address in-band";
  const isNew = present?.facts === undefined;
  if (present === undefined) {
    const row = { key: machineKey, mac: "", machineKey, drivers: [], state: State.STATE_REPORTED, reason, facts };
    insertRow(tables, row, now);
  } else {
    const encoded = BmcFacts.encode(facts).finish();
    tables.database.run("UPDATE bmcs SET drivers = '[]', facts = ? WHERE key = ?", encoded, machineKey);
    if (isNew) tables.setState(machineKey, State.STATE_REPORTED, reason, now);
    else tables.changed(machineKey);
  }
  if (isNew) tables.addHistory({ at: now, mac: "", machineUuid, actor: "agent", action: "reported", detail: reason });
  return remember(tables, session, machineKey, machineKey, present === undefined, now);
}

/** See Store.reportNoBmc. */
export function reportNoBmc(tables: Tables, session: Session, noBmc: NoBmc, now: Date): Reported {
  const { machineKey, machineUuid } = session;
  const former = tables.bmcOfMachine(machineKey);
  const tried = noBmc.tried.map(({ way, reason }) => `${way}: ${reason}`).join("; ");
  const why = tried === "" ? "no BMC found" : `no BMC found (${tried})`;
  const inUse = former && accountInUse(tables.accounts(former.key));
  if (former !== undefined && inUse?.state === AccountState.ACCOUNT_STATE_VERIFIED && inUse.givenBy !== "") {
    // An operator has linked what is closed in-band: that it shows nothing there says nothing against it.
    return remember(tables, session, machineKey, former.key, false, now);
  }
  const claim = claimOf(tables, session, noPlace);
  if (former !== undefined && isProved(former, tables.accounts(former.key)) && !isAccepted(former, claim)) {
    return conflict(tables, former, session, claim, otherFound(former, why), now);
  }
  if (former !== undefined && former.key !== machineKey) leave(tables, former, `it reports that it has ${why}`, now);
  const present = tables.bmc(machineKey);
  if (present === undefined) {
    const row = {
      key: machineKey,
      mac: "",
      machineKey,
      drivers: ["Unmanaged"],
      state: State.STATE_UNMANAGED,
      reason: why,
    };
    insertRow(tables, row, now);
  } else if (present.state !== State.STATE_UNMANAGED || present.stateReason !== why) {
    const sql = "UPDATE bmcs SET drivers = ?, facts = NULL WHERE key = ?";
    tables.database.run(sql, JSON.stringify(["Unmanaged"]), machineKey);
    tables.setState(machineKey, State.STATE_UNMANAGED, why, now);
  }
  if (present?.stateReason !== why) {
    tables.addHistory({ at: now, mac: "", machineUuid, actor: "agent", action: "unmanaged", detail: why });
  }
  return remember(tables, session, machineKey, machineKey, present === undefined, now);
}

/** See Store.abort. */
export function abort(tables: Tables, session: Session, how: Abort, now: Date): void {
  const { machineKey, machineUuid } = session;
  const row = session.bmcKey === undefined ? tables.bmcOfMachine(machineKey) : tables.bmc(session.bmcKey);
  const mac = row?.machineKey === machineKey ? row.mac : "";
  const accounts = row === undefined ? [] : tables.accounts(row.key);
  const works = row !== undefined && isWorking(row, accounts);
  const isProvedHere = row !== undefined && row.machineKey === machineKey && isProved(row, accounts);
  // A lock that was seen before is no less one because a later run ended for another reason.
  const locked = how.inbandLocked || (row?.machineKey === machineKey && row.state === State.STATE_LOCKED);
  const stopped = `the agent stopped${how.step === "" ? "" : ` at step "${how.step}"`}: ${how.reason}`;
  const context = locked ? `in-band access is locked, ${remedyOfLock(row, machineKey, works)} ` : "";
  const told = locked ? `(${stopped})` : stopped;
  const reason = isProvedHere ? unprovedText(told, context) : `${context}${told}`;
  if (row === undefined) {
    // A machine that fails before it has found its BMC must not be invisible.
    const state = locked ? State.STATE_LOCKED : State.STATE_UNSPECIFIED;
    insertRow(tables, { key: machineKey, mac: "", machineKey, drivers: [], state, reason }, now);
    settleSession(tables, session, machineKey, null, now);
  } else if (isProvedHere) {
    // Who breaks off has proved nothing: what the service knows of the row stays, and stands first. Where the account that no login
    // gets in with was an operator's, the machine could make none before either.
    const isLockedAgain = locked && !works && accountInUse(accounts)?.givenBy !== "";
    const state = isLockedAgain ? State.STATE_LOCKED : row.state;
    tables.setState(row.key, state, withUnproved(row.stateReason, reason), now);
  } else if (row.machineKey === machineKey && locked) {
    tables.setState(row.key, State.STATE_LOCKED, reason, now);
  } else if (row.machineKey === machineKey) {
    tables.setRemark(row, reason, now);
  }
  tables.addHistory({ at: now, mac, machineUuid, actor: "agent", action: "aborted", detail: reason });
}

function remedyOfLock(row: BmcRow | undefined, machineKey: string, works: boolean): string {
  if (works) return "the account that the service knows stays in use";
  const own = row?.machineKey === machineKey ? row : undefined;
  const { ipv4Address = "", ipv6Addresses = [] } = own?.facts ?? {};
  const isReachable = own?.mac !== "" && (ipv4Address !== "" || ipv6Addresses.length > 0 || own?.givenAddress !== "");
  const address = own !== undefined && isReachable ? "" : " --address HOST";
  return `operator must give credentials: bmcctl update ${own?.key ?? machineKey} --user NAME --password-file FILE${address}`;
}

interface NewRow {
  readonly key: string;
  readonly mac: string;
  readonly machineKey: string;
  readonly drivers: readonly string[];
  readonly state: State;
  readonly reason?: string;
  readonly facts?: BmcFacts;
}

function insertRow(tables: Tables, { key, mac, machineKey, drivers, state, reason = "", facts }: NewRow, now: Date) {
  tables.database.run(
    `INSERT INTO bmcs (key, mac, machine_key, drivers, state, state_reason, facts, remote_guid, created_at, changed_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, '', ?, ?)`,
    key,
    mac,
    machineKey,
    JSON.stringify(drivers),
    state,
    reason,
    facts === undefined ? null : BmcFacts.encode(facts).finish(),
    now.getTime(),
    now.getTime(),
  );
  tables.changed(key);
}

function conflict(tables: Tables, row: BmcRow, session: Session, claim: Claim, text: string, now: Date): Reported {
  if (!keepClaim(tables, row, session, claim, text, now)) return { conflict: text };
  const entry = { at: now, actor: "agent", action: "conflict", detail: text };
  tables.addHistory({ ...entry, mac: row.mac, machineUuid: row.machineUuid ?? "" });
  const { machineUuid } = session;
  if (row.machineUuid !== machineUuid) tables.addHistory({ ...entry, mac: "", machineUuid });
  return { conflict: text };
}

/** A machine whose BMC was linked and went to another one must not be invisible. */
function standAlone(tables: Tables, { mac, machineKey }: BmcRow, toMachine: string, now: Date): void {
  if (machineKey === undefined || tables.bmcOfMachine(machineKey) !== undefined) return;
  const reason = `its BMC ${mac} belongs to machine ${toMachine} now; it tells what it has when it boots again`;
  insertRow(tables, { key: machineKey, mac: "", machineKey, drivers: [], state: State.STATE_UNSPECIFIED, reason }, now);
}

/** What an operator has accepted may take a proved row away: it is not linked until another login has proved it. Its accounts stay. */
function unlink(tables: Tables, row: BmcRow, reason: string, now: Date): void {
  if (isPlaceProved(row, tables.accounts(row.key))) tables.setState(row.key, State.STATE_REPORTED, reason, now);
}

/** Takes a row away from its machine, which is not proved or may leave; one that only stood for the machine goes. */
function leave(tables: Tables, row: BmcRow, why: string, now: Date): void {
  if (row.mac === "") {
    tables.deleteBmc(row);
    return;
  }
  const detail = `machine ${row.machineUuid} left: ${why}`;
  const sql = "UPDATE bmcs SET machine_key = NULL, reported_facts = NULL, accepted_claim = NULL WHERE key = ?";
  tables.database.run(sql, row.key);
  tables.setRemark(row, detail, now);
  unlink(tables, row, detail, now);
  tables.changedTwins(row);
  const machineUuid = row.machineUuid ?? "";
  tables.addHistory({ at: now, mac: row.mac, machineUuid, actor: "agent", action: "left", detail });
}

/**
 * What the report says is stored: the session belongs to it.
 * @param isNew whether the machine has the row since now: other rows of the same UUID are told of it then
 */
function remember(
  tables: Tables,
  session: Session,
  machineKey: string,
  key: string,
  isNew: boolean,
  now: Date,
): Reported {
  settleSession(tables, session, machineKey, key, now);
  const row = tables.bmc(key);
  if (row === undefined) throw new Error(`row ${key} vanished inside its own transaction`);
  if (isNew) noteTwins(tables, row, now);
  return { row };
}

function noteTwins(tables: Tables, row: BmcRow, now: Date): void {
  const { machineUuid = "" } = row;
  const add = (of: BmcRow, other: BmcRow) => {
    const detail = `UUID ${machineUuid} is reported by the machine of row ${other.key} too`;
    tables.addHistory({ at: now, mac: of.mac, machineUuid, actor: "service", action: "duplicate UUID", detail });
  };
  for (const twin of tables.bmcsOfUuid(machineUuid).filter(({ key }) => key !== row.key)) {
    add(row, twin);
    add(twin, row);
    tables.changed(twin.key);
  }
}

function same(one: BmcFacts | undefined, other: BmcFacts | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return sameFacts(one, other);
}
