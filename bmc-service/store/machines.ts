import { ownSerial } from "../../ipmi/placeholder.ts";
import type { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { Machine } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import { claimedByOther, isAccepted, isPlaceProved, isProved, otherBmcFound, placeText } from "./claim.ts";
import { hasProved } from "./proved-session.ts";
import { machineRow, sessionRow } from "./rows.ts";
import type { BmcRow, Claim, MachineRow, NewSession, Session } from "./store.ts";
import type { Tables } from "./tables.ts";

/*
 * Which machine is it? Boards of one model are sold with the same SMBIOS UUID, and boards are replaced by others that get the
 * UUID of the old one. The service cannot tell the two apart, so it overwrites nothing:
 *
 * 1. Another board serial number under a known UUID is another machine. Where one of both has none, they may be the same.
 * 2. The MAC address of the BMC decides when it is reported: the machine that has that BMC is meant, whatever its serial number.
 * 3. A BMC that tells the known one's MAC address of another of its LAN channels is the known one: its row goes by the new MAC.
 * 4. A machine that may be one whose BMC was proved by a remote login contradicts that if it reports another one: the operator knows
 *    whether a part was replaced, or whether it is another machine with the same UUID.
 * 5. Where nothing was proved, a machine that reports another BMC leaves the known one in the same boot. In another boot it counts as
 *    another machine with the same UUID.
 *
 * What contradicts a proved row is taken if an operator has accepted exactly that (see conflicts.ts).
 *
 * The rows of one UUID stand side by side and each names the others as a warning. An operator deletes the one that is gone,
 * or gives a machine a UUID of its own. Nothing changes for a machine that moves: its BMC goes with it.
 */

/** Empty if the board tells none, or a placeholder. */
export function boardSerial(machine: Machine | undefined): string {
  return ownSerial(machine?.board?.serialNumber ?? "");
}

/** The key of the machine for which a new session is taken; it exists then. Rule 1. */
export function machineOf(tables: Tables, { machine, agentVersion, bootId, now }: NewSession): string {
  const candidates = tables.database
    .all("SELECT * FROM machines WHERE uuid = ? ORDER BY key", machine.uuid)
    .map(machineRow)
    .map((known) => ({ key: known.key, likeness: likeness(tables, known, machine) }));
  const [best] = candidates.filter((each) => each.likeness >= 0).toSorted((a, b) => b.likeness - a.likeness);
  if (best !== undefined) return best.key;
  const key = candidates.length === 0 ? machine.uuid : `${machine.uuid}/${boardSerial(machine)}`;
  addMachine(tables, key, machine, agentVersion, bootId, now);
  return key;
}

/** How much speaks for it that both are the same machine; negative: they are not. */
function likeness(tables: Tables, known: MachineRow, machine: Machine): number {
  const [was, is] = [boardSerial(known.machine), boardSerial(machine)];
  if (!maySame(was, is)) return -1;
  const systemOf = (each: Machine) => ownSerial(each.system?.serialNumber ?? "");
  const sameSystem = systemOf(machine) !== "" && systemOf(known.machine) === systemOf(machine);
  return (was !== "" && was === is ? 4 : 0) + (sameSystem ? 2 : 0) + (tables.bmcOfMachine(known.key) ? 1 : 0);
}

/** Whether two board serial numbers may be one board's: a board that tells none may be any. */
function maySame(one: string, other: string): boolean {
  return one === "" || other === "" || one === other;
}

/**
 * The key of the machine that reports the BMC with that key, or what the report contradicts. Rules 2, 4 and 5.
 * @param claim what the session says, which an operator may have accepted
 */
export function reporterOf(
  tables: Tables,
  session: Session,
  mac: string,
  claim: Claim,
  now: Date,
): string | { readonly contradicts: BmcRow; readonly text: string } {
  const { machineKey, machineUuid } = session;
  const known = tables.bmc(mac);
  const isOfUuid = known?.machineKey !== undefined && known.machineUuid === machineUuid;
  const isKnownProved = known !== undefined && isPlaceProved(known, tables.accounts(mac));
  if (isOfUuid && (isKnownProved || session.bmcKey === mac)) return known.machineKey;
  if (isKnownProved && !isAccepted(known, claim)) {
    return { contradicts: known, text: claimedByOther(known, claim) };
  }
  const other = () => {
    const key = isOfUuid ? known.machineKey : `${machineUuid}/${mac}`;
    const machine = tables.machine(machineKey);
    if (machine !== undefined) {
      addMachine(tables, key, machine.machine, machine.agentVersion, session.bootId, now);
    }
    return key;
  };
  const linked = provedTwins(tables, machineUuid, mac, claim.boardSerial);
  const accepting = linked.find((row) => isAccepted(row, claim));
  if (accepting?.machineKey !== undefined) {
    return accepting.acceptedClaim?.separate === true ? other() : accepting.machineKey;
  }
  const contradicted = linked.find((row) => row.machineKey === machineKey) ?? linked[0];
  if (contradicted !== undefined) {
    return { contradicts: contradicted, text: otherBmcFound(contradicted, `BMC ${mac}${placeText(claim)},`) };
  }
  if (isOfUuid) return known.machineKey;
  const former = tables.bmcOfMachine(machineKey);
  if (former === undefined || former.mac === "") return machineKey;
  return tables.machine(machineKey)?.bootId === session.bootId ? machineKey : other();
}

/** The rows of machines that may be the one with that UUID and board, and are proved to have another BMC than the one with that MAC. */
function provedTwins(tables: Tables, machineUuid: string, mac: string, serial: string): readonly BmcRow[] {
  return tables.bmcsOfUuid(machineUuid).filter((row) => {
    if (row.mac === mac || row.mac === "" || row.machineKey === undefined) return false;
    const known = tables.machine(row.machineKey);
    return maySame(boardSerial(known?.machine), serial) && isProved(row, tables.accounts(row.key));
  });
}

/**
 * Which channel a BMC is known by may change from boot to boot, as cables and addresses come and go. Rule 3.
 * Its row goes by the MAC that is reported now, and keeps its accounts, unless another row has that MAC. One that is proved does so
 * when a remote login has found both, and takes the place of a row that is not: see reported-facts.ts.
 * @returns the key of the row that the report is about, if there is any
 */
export function followChannel(tables: Tables, session: Session, { mac, channels }: BmcFacts, now: Date): string {
  const own = new Set(channels.map((channel) => channel.mac.toLowerCase()));
  const row = tables.bmcsOfUuid(session.machineUuid).find((each) => each.mac !== "" && own.has(each.mac));
  if (row === undefined || row.mac === mac) return mac;
  const other = tables.bmc(mac);
  const isRowProved = isPlaceProved(row, tables.accounts(row.key));
  // Anybody can make a row that nothing has proved: it is no obstacle for one that is.
  if (other !== undefined && (!isRowProved || isPlaceProved(other, tables.accounts(mac)))) return mac;
  if (isRowProved) return row.key;
  changeChannel(tables, row, mac, "agent", now);
  return mac;
}

/** The row goes by the MAC address of another of its BMC's LAN channels, which no other row has. */
export function changeChannel(tables: Tables, row: BmcRow, mac: string, actor: string, now: Date): void {
  tables.renameBmc(row, mac);
  const detail = `from ${row.mac} to ${mac}: both are LAN channels of the same BMC`;
  const { machineUuid = "" } = row;
  for (const each of [row.mac, mac]) {
    tables.addHistory({ at: now, mac: each, machineUuid, actor, action: "channel changed", detail });
  }
}

function addMachine(
  tables: Tables,
  key: string,
  machine: Machine,
  agentVersion: string,
  bootId: string,
  now: Date,
): void {
  tables.database.run(
    `INSERT INTO machines (key, machine, agent_version, boot_id, created_at, changed_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (key) DO NOTHING`,
    key,
    Machine.encode(machine).finish(),
    agentVersion,
    bootId,
    now.getTime(),
    now.getTime(),
  );
}

/**
 * From here on the session is that of the machine with that key, and what it has told so far is stored with the machine:
 * not before, or the data of one machine would take the place of another's. If the machine is proved, it waits until the session was
 * handed off; if the board is not the same either, until it has proved that it writes to the machine's BMC: see tellMachine.
 * @param bmcKey what it has reported
 */
export function settleSession(
  tables: Tables,
  session: Session,
  machineKey: string,
  bmcKey: string | null,
  now: Date,
): void {
  const { database } = tables;
  const { claimedBy } = toldBy(tables, session);
  database.run(
    "UPDATE sessions SET handed_off = handed_off AND bmc_key IS ?, machine_key = ?, bmc_key = ? WHERE id = ?",
    bmcKey,
    machineKey,
    bmcKey,
    session.id,
  );
  database.run("UPDATE machines SET claimed_by = ? WHERE key = ?", claimedBy, machineKey);
  if (mayTell(tables, session, machineKey)) tellMachine(tables, session.id, machineKey, now);
  // What was taken for a machine of its own until its BMC told better.
  database.run(
    `DELETE FROM machines WHERE key = ? AND key <> ? AND NOT EXISTS (SELECT 1 FROM bmcs WHERE machine_key = machines.key)
       AND NOT EXISTS (SELECT 1 FROM sessions WHERE machine_key = machines.key)`,
    session.machineKey,
    machineKey,
  );
}

/** Whether what the session says of the machine with that key is taken at once. */
export function mayTell(tables: Tables, session: Pick<Session, "id">, machineKey: string): boolean {
  const row = tables.bmcOfMachine(machineKey);
  const accounts = row === undefined ? [] : tables.accounts(row.key);
  if (row === undefined || !isProved(row, accounts) || hasProved(session, accounts)) return true;
  const { handed_off: isHandedOff } =
    tables.database.get("SELECT handed_off FROM sessions WHERE id = ?", session.id) ?? {};
  if (Number(isHandedOff) !== 1) return false;
  return boardSerial(tables.machine(machineKey)?.machine) === boardSerial(toldBy(tables, session).machine);
}

/** Stores what a session has told of its machine so far with the machine. */
export function tellMachine({ database }: Tables, sessionId: string, machineKey: string, now: Date): void {
  database.run(
    `UPDATE machines SET machine = coalesce(told.machine, machines.machine), boot_id = told.boot_id,
       agent_version = coalesce(told.agent_version, machines.agent_version),
       inventory = coalesce(told.inventory, machines.inventory), changed_at = ?
     FROM (SELECT * FROM sessions WHERE id = ? AND machine_key = ?) AS told WHERE machines.key = ?`,
    now.getTime(),
    sessionId,
    machineKey,
    machineKey,
  );
  database.run("UPDATE sessions SET inventory = NULL WHERE id = ?", sessionId);
}

/** See Store.handedOff. */
export function noteHandedOff(tables: Tables, { id }: Session, now: Date): void {
  const found = tables.database.get("SELECT * FROM sessions WHERE id = ?", id);
  if (found === undefined) return;
  const { machineKey } = sessionRow(found);
  tables.database.run("UPDATE sessions SET handed_off = 1 WHERE id = ?", id);
  if (mayTell(tables, { id }, machineKey)) tellMachine(tables, id, machineKey, now);
}

/** What a session says of its machine, and the common name of the certificate with which it says so. */
export function toldBy({ database }: Tables, { id }: Pick<Session, "id">) {
  const { machine, claimed_by: claimedBy } =
    database.get("SELECT machine, claimed_by FROM sessions WHERE id = ?", id) ?? {};
  return {
    machine: machine instanceof Uint8Array ? Machine.decode(machine) : undefined,
    claimedBy: typeof claimedBy === "string" ? claimedBy : "",
  };
}
