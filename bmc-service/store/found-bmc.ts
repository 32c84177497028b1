import { isBogusUuid, uuidForms } from "../../ipmi/guid.ts";
import { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { type BmcRow, ClaimConflictError, type HandOffSuccess } from "./store.ts";
import type { Tables } from "./tables.ts";

/**
 * Keeps where an operator said that a BMC is, and which MAC address it was found to have there: a row that stood for its machine
 * alone goes by that from now on.
 * @param address undefined: where it says itself
 * @returns the row as it is then
 * @throws ClaimConflictError if the BMC belongs to another machine, by its MAC address or by its GUID
 */
export function settleFoundBmc(
  tables: Tables,
  address: string | undefined,
  row: BmcRow,
  found: HandOffSuccess,
  now: Date,
): BmcRow {
  const key = row.mac === "" ? nameAfter(tables, row, found, now) : row.key;
  if (address !== undefined) tables.database.run("UPDATE bmcs SET given_address = ? WHERE key = ?", address, key);
  const settled = tables.bmc(key);
  if (settled === undefined) throw new Error(`row ${key} vanished inside its own transaction`);
  return settled;
}

/** @returns the key from now on */
function nameAfter(
  tables: Tables,
  row: BmcRow,
  { lan: { mac, channel }, remoteGuid }: HandOffSuccess,
  now: Date,
): string {
  const present = tables.bmc(mac);
  if (present?.machineKey !== undefined) {
    throw new ClaimConflictError(
      `the BMC there has MAC ${mac}, which belongs to machine ${present.machineKey} and not to ${row.key}: ` +
        `check the address; if the BMC was moved, delete its row first (bmcctl delete ${mac})`,
    );
  }
  const owner = machineOfGuid(tables, row, remoteGuid);
  if (owner !== undefined) {
    throw new ClaimConflictError(
      `the BMC there has the UUID of machine ${owner} as its GUID, not that of ${row.key}: check the address`,
    );
  }
  if (present === undefined) tables.renameBmc(row, mac);
  else tables.replaceBmc(row, present);
  const facts = { ...(present?.facts ?? row.facts ?? BmcFacts.fromPartial({})), mac, channel };
  tables.database.run(
    "UPDATE bmcs SET drivers = ?, facts = ? WHERE key = ?",
    JSON.stringify(["IPMI"]),
    BmcFacts.encode(facts).finish(),
    mac,
  );
  const { machineUuid = "" } = row;
  const detail = `BMC ${mac} on channel ${channel}, read from remote: it tells no MAC address in-band`;
  tables.addHistory({ at: now, mac, machineUuid, actor: "service", action: "found", detail });
  return mac;
}

/**
 * Another machine whose UUID the GUID is, in one of its byte orders. Nothing was read in-band that the GUID could be compared
 * with, and a mistyped address leads to the BMC of a neighbour.
 */
function machineOfGuid(tables: Tables, { machineUuid }: BmcRow, remoteGuid: string): string | undefined {
  if (remoteGuid === "") return undefined;
  const forms = Object.values(uuidForms(Buffer.from(remoteGuid, "hex")));
  if (machineUuid !== undefined && forms.includes(machineUuid)) return undefined;
  return forms.find((form) => !isBogusUuid(form) && tables.bmcsOfUuid(form).length > 0);
}
