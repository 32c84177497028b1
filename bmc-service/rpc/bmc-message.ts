import { manufacturerName } from "../../ipmi/manufacturer.ts";
import { isPlaceholder } from "../../ipmi/placeholder.ts";
import { type Account, Bmc, BmcFacts, type Warning, WarningKind } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { AuditEntry, Conflict, HistoryEntry } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { AuditEntryRow } from "../audit/audit-log.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import { type AddressMap, reachableAt } from "../reach/bmc-address.ts";
import type { BmcNetworks } from "../reach/bmc-networks.ts";
import { shownAddress } from "../reach/told-endpoint.ts";
import { boardSerial } from "../store/machines.ts";
import type { AccountRow, BmcOutline, BmcRecord, ConflictRow, HistoryRow, Twin } from "../store/store.ts";
import { isBoundTo } from "./role.ts";

/** How the service reaches BMCs. */
export interface Reach {
  readonly addresses: AddressMap;
  readonly networks: BmcNetworks;
}

/** @param showSecrets whether the password is filled in */
export function bmcMessage(record: BmcRecord, reach: Reach, showSecrets: boolean): Bmc {
  const { row, machine, account } = record;
  return {
    ...outlineOf(record, reach),
    createdAt: row.createdAt,
    changedAt: row.changedAt,
    verifiedAt: row.verifiedAt,
    facts: row.facts,
    machine: machine?.machine,
    inventory: machine?.inventory,
    account: account && accountMessage(account, showSecrets),
    chassis: row.chassis,
    agentVersion: machine?.agentVersion ?? "",
    remoteGuid: row.remoteGuid,
  };
}

const nothingTold = Bmc.fromPartial({});
const noFacts = BmcFacts.fromPartial({});

/** What ListBmcs tells of a row if it is asked to be brief. */
export function briefMessage(outline: BmcOutline, reach: Reach): Bmc {
  const { facts } = outline.row;
  const { ipv4Address, ipv6Addresses } = facts ?? noFacts;
  return {
    ...nothingTold,
    ...outlineOf(outline, reach),
    facts: facts && { ...noFacts, ipv4Address, ipv6Addresses },
  };
}

function outlineOf(outline: BmcOutline, { addresses, networks }: Reach) {
  const { row, twins } = outline;
  const endpoint = reachableAt(row, addresses);
  return {
    mac: row.mac,
    address: endpoint === undefined ? "" : shownAddress(endpoint),
    vendor: vendorOf(outline),
    drivers: [...row.drivers],
    machineUuid: row.machineUuid ?? "",
    state: row.state,
    stateReason: row.stateReason,
    warnings: [
      ...(twins.length === 0 ? [] : [duplicateUuid(outline)]),
      ...sharedCertificate(outline),
      ...conflictWarning(outline),
      ...(endpoint === undefined || addresses.has(row.mac) ? [] : addressWarning(endpoint, networks)),
    ],
    key: row.key,
  };
}

/** See store/machines.ts. */
function duplicateUuid({ row, machine, twins }: BmcOutline): Warning {
  const named = ({ key, boardSerial }: Twin) =>
    boardSerial === "" ? key : `${key} (board serial number ${boardSerial})`;
  const own = boardSerial(machine?.machine);
  const text =
    `UUID ${row.machineUuid} is reported by the machine of ${twins.map(named).join(", ")} too` +
    `${own === "" ? "" : `; the board here has serial number ${own}`}. ` +
    "Give each machine a UUID of its own; if a board is gone, delete its row (bmcctl delete)";
  return { kind: WarningKind.WARNING_KIND_DUPLICATE_UUID, text };
}

function sharedCertificate({ row, machine }: BmcOutline): Warning[] {
  const claimedBy = machine?.claimedBy ?? "";
  if (claimedBy === "" || row.machineUuid === undefined || isBoundTo(claimedBy, row.machineUuid)) return [];
  const text =
    `the agent that reported last showed the certificate "${claimedBy}", which is not this machine's own and proves no machine. ` +
    "Give machines enrolment tokens (bmcctl token create)";
  return [{ kind: WarningKind.WARNING_KIND_SHARED_CERTIFICATE, text }];
}

function conflictWarning({ conflicts: [newest, ...more] }: BmcOutline): Warning[] {
  if (newest === undefined) return [];
  const others = more.length === 0 ? "" : ` There are ${more.length} more`;
  return [{ kind: WarningKind.WARNING_KIND_CONFLICT, text: `conflict ${newest.id}: ${newest.text}${others}` }];
}

/** See reach/bmc-networks.ts. */
function addressWarning(endpoint: Endpoint, networks: BmcNetworks): Warning[] {
  const problem = networks.problem(endpoint);
  if (problem === undefined) return [];
  return [
    {
      kind: WarningKind.WARNING_KIND_ADDRESS,
      text: `the service does not go to ${formatEndpoint(endpoint)}: ${problem}`,
    },
  ];
}

export function accountMessage(account: AccountRow, showSecrets: boolean): Account {
  return {
    id: account.id,
    mac: account.bmcKey,
    userName: account.userName,
    password: showSecrets ? shownPassword(account) : "",
    slot: account.slot,
    state: account.state,
    createdAt: account.createdAt,
    verifiedAt: account.verifiedAt,
    stateReason: account.stateReason,
  };
}

/** The contract has it as a text, so here, and only here, a password is one. */
function shownPassword({ password }: AccountRow): string {
  const bytes = Buffer.from(password.reveal().buffer);
  const text = bytes.toString("latin1").replace(/\0+$/, "");
  bytes.fill(0);
  return text;
}

export function auditMessage({ number, hash: _, ...entry }: AuditEntryRow): AuditEntry {
  return { number: BigInt(number), ...entry };
}

export function conflictMessage({ id, bmcKey: key, ...conflict }: ConflictRow): Conflict {
  return { id: `${id}`, key, ...conflict };
}

export function historyMessage({ at, actor, action, detail }: HistoryRow): HistoryEntry {
  return { at, actor, action, detail };
}

/** Display name of the vendor: FRU (product, board), SMBIOS (system, board), then the BMC's manufacturer id. */
function vendorOf({ row, machine }: BmcOutline): string {
  const { fru, manufacturerId = 0 } = row.facts ?? {};
  // What the machine told is decoded only if it is needed.
  const places = [
    () => fru?.productManufacturer,
    () => fru?.boardManufacturer,
    () => machine?.machine?.system?.manufacturer,
    () => machine?.machine?.board?.manufacturer,
    () => manufacturerName(manufacturerId),
  ];
  for (const nameAt of places) {
    const name = nameAt()?.trim() ?? "";
    if (name !== "" && !isPlaceholder(name)) return name;
  }
  return "";
}
