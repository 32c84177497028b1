import { BmcFacts, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { NoBmc } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { claimedByOther, isProved, otherFound } from "./claim.ts";
import type { Abort, BmcRow, Session } from "./store.ts";
import type { Tables } from "./tables.ts";

/** What a report became: a row, or the conflict that was noted instead. */
export type Reported = { readonly row: BmcRow } | { readonly conflict: string };

/** Drivers of a BMC that was found in-band. */
const inbandDrivers = JSON.stringify(["IPMI"]);

/** See Store.reportBmc. */
export function reportBmc(tables: Tables, session: Session, reported: BmcFacts, now: Date): Reported {
  const { machineUuid } = session;
  const { mac } = reported;
  const known = tables.bmc(mac);
  const former = tables.bmcOfMachine(machineUuid);
  if (known !== undefined && known.machineUuid !== machineUuid && isProved(known, tables.accounts(mac))) {
    return conflict(tables, known, machineUuid, claimedByOther(known, machineUuid), now);
  }
  if (former !== undefined && former.key !== mac && isProved(former, tables.accounts(former.key))) {
    return conflict(tables, former, machineUuid, otherFound(former, `BMC ${mac}`), now);
  }
  if (former !== undefined && former.key !== mac) leave(tables, former, `it reports BMC ${mac} now`, now);

  const history = (action: string, detail: string) =>
    tables.addHistory({ at: now, mac, machineUuid, actor: "agent", action, detail });
  const from = known?.facts;
  const facts = from !== undefined && reported.channels.length === 0 ? overlay(from, reported) : reported;
  const encoded = BmcFacts.encode(facts).finish();
  if (known === undefined) {
    tables.database.run(
      `INSERT INTO bmcs (key, mac, machine_uuid, drivers, state, state_reason, facts, remote_guid, created_at, changed_at)
       VALUES (?, ?, ?, ?, ?, '', ?, '', ?, ?)`,
      mac,
      mac,
      machineUuid,
      inbandDrivers,
      State.STATE_REPORTED,
      encoded,
      now.getTime(),
      now.getTime(),
    );
    tables.changed(mac);
    history("reported", `BMC at ${addressOf(facts)}, firmware ${facts.firmwareVersion || "not told"}`);
  } else {
    const moved = known.machineUuid !== machineUuid;
    const changed = from === undefined || !Buffer.from(BmcFacts.encode(from).finish()).equals(encoded);
    if (moved || changed) {
      tables.database.run(
        "UPDATE bmcs SET machine_uuid = ?, facts = ?, changed_at = ? WHERE key = ?",
        machineUuid,
        encoded,
        now.getTime(),
        mac,
      );
      tables.changed(mac);
    }
    if (moved) history("moved", `from ${known.machineUuid ?? "no machine"} to machine ${machineUuid}`);
    else if (changed) history("facts changed", `BMC at ${addressOf(facts)}`);
  }
  return remember(tables, session, mac);
}

/** See Store.reportNoBmc. */
export function reportNoBmc(tables: Tables, session: Session, noBmc: NoBmc, now: Date): Reported {
  const { machineUuid } = session;
  const former = tables.bmcOfMachine(machineUuid);
  const tried = noBmc.tried.map(({ way, reason }) => `${way}: ${reason}`).join("; ");
  const why = tried === "" ? "no BMC found" : `no BMC found (${tried})`;
  if (former !== undefined && isProved(former, tables.accounts(former.key))) {
    return conflict(tables, former, machineUuid, otherFound(former, why), now);
  }
  if (former !== undefined && former.key !== machineUuid) leave(tables, former, `it reports that it has ${why}`, now);
  const present = tables.bmc(machineUuid);
  if (present === undefined) {
    insertMachineWithoutBmc(tables, machineUuid, ["Unmanaged"], State.STATE_UNMANAGED, why, now);
  } else if (present.state !== State.STATE_UNMANAGED || present.stateReason !== why) {
    tables.database.run("UPDATE bmcs SET drivers = ? WHERE key = ?", JSON.stringify(["Unmanaged"]), machineUuid);
    tables.setState(machineUuid, State.STATE_UNMANAGED, why, now);
  }
  if (present?.stateReason !== why) {
    tables.addHistory({ at: now, mac: "", machineUuid, actor: "agent", action: "unmanaged", detail: why });
  }
  return remember(tables, session, machineUuid);
}

/** See Store.abort. */
export function abort(tables: Tables, session: Session, how: Abort, now: Date): void {
  const { machineUuid } = session;
  const row = session.bmcKey === undefined ? tables.bmcOfMachine(machineUuid) : tables.bmc(session.bmcKey);
  const { step, inbandLocked } = how;
  const locked = inbandLocked ? "an operator must give credentials, in-band access is locked: " : "";
  const reason = `${locked}the agent stopped${step === "" ? "" : ` at step "${step}"`}: ${how.reason}`;
  // A machine that fails before it has found its BMC must not be invisible.
  if (row === undefined) insertMachineWithoutBmc(tables, machineUuid, [], State.STATE_UNSPECIFIED, reason, now);
  // A BMC that is linked stays so: the account that opens it was not touched.
  else if (row.machineUuid === machineUuid && inbandLocked && !isProved(row, tables.accounts(row.key))) {
    tables.setState(row.key, State.STATE_LOCKED, reason, now);
  } else if (row.machineUuid === machineUuid) tables.setRemark(row, reason, now);
  const mac = row?.machineUuid === machineUuid ? row.mac : "";
  tables.addHistory({ at: now, mac, machineUuid, actor: "agent", action: "aborted", detail: reason });
}

function insertMachineWithoutBmc(
  tables: Tables,
  uuid: string,
  drivers: readonly string[],
  state: State,
  reason: string,
  now: Date,
): void {
  tables.database.run(
    `INSERT INTO bmcs (key, mac, machine_uuid, drivers, state, state_reason, remote_guid, created_at, changed_at)
     VALUES (?, '', ?, ?, ?, ?, '', ?, ?)`,
    uuid,
    uuid,
    JSON.stringify(drivers),
    state,
    reason,
    now.getTime(),
    now.getTime(),
  );
  tables.changed(uuid);
}

function conflict(tables: Tables, row: BmcRow, reporter: string, text: string, now: Date): Reported {
  tables.setRemark(row, text, now);
  const entry = { at: now, actor: "agent", action: "conflict", detail: text };
  tables.addHistory({ ...entry, mac: row.mac, machineUuid: row.machineUuid ?? "" });
  if (row.machineUuid !== reporter) tables.addHistory({ ...entry, mac: "", machineUuid: reporter });
  return { conflict: text };
}

/** Takes an unproved row away from its machine; one that only stood for the machine goes. */
function leave(tables: Tables, row: BmcRow, why: string, now: Date): void {
  if (row.mac === "") {
    tables.deleteBmc(row.key);
    return;
  }
  const detail = `machine ${row.machineUuid} left: ${why}`;
  tables.database.run("UPDATE bmcs SET machine_uuid = NULL WHERE key = ?", row.key);
  tables.setRemark(row, detail, now);
  const machineUuid = row.machineUuid ?? "";
  tables.addHistory({ at: now, mac: row.mac, machineUuid, actor: "agent", action: "left", detail });
}

function remember(tables: Tables, session: Session, key: string): Reported {
  tables.database.run("UPDATE sessions SET bmc_key = ? WHERE id = ?", key, session.id);
  const row = tables.bmc(key);
  if (row === undefined) throw new Error(`row ${key} vanished inside its own transaction`);
  return { row };
}

function addressOf(facts: BmcFacts): string {
  return facts.ipv4Address || facts.ipv6Addresses[0] || "no address yet";
}

/** What a short look has read takes the place of what was known; what it did not read stays. */
function overlay(known: BmcFacts, seen: BmcFacts): BmcFacts {
  const isRead = (value: unknown) =>
    Array.isArray(value) ? value.length > 0 : value !== undefined && value !== "" && value !== 0;
  return { ...known, ...Object.fromEntries(Object.entries(seen).filter(([, value]) => isRead(value))) };
}
