import { isWeakLoginText } from "../../ipmi/weak-logins.ts";
import { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { shownAddress, toldEndpoint } from "../reach/told-endpoint.ts";
import { isPlaceProved } from "./claim.ts";
import { changeChannel } from "./machines.ts";
import type { BmcRow } from "./store.ts";
import type { Tables } from "./tables.ts";

/*
 * A remote login proves where a BMC is and which one it is; what else an agent reports only describes it. So of a proved row the
 * description is taken at once, and a new address, channel or GUID is kept beside until a login there has held it: else whoever
 * knows a UUID and a MAC address could send the service elsewhere.
 */

/** What a remote login proves. */
const provedFields = [
  "mac",
  "channel",
  "ipv4Address",
  "ipv4Source",
  "ipv4Mask",
  "ipv4Gateway",
  "vlanId",
  "ipv6Addresses",
  "rmcpPort",
  "guid",
] as const satisfies readonly (keyof BmcFacts)[];

/** What is stored of a report at once, and what is kept beside it. */
export interface TakenReport {
  readonly facts: BmcFacts;
  /** Undefined: there is nothing to prove. */
  readonly reportedFacts: BmcFacts | undefined;
}

/** @param told what the agent reports of the BMC of `row` */
export function takeReport(tables: Tables, row: BmcRow, told: BmcFacts): TakenReport {
  if (row.facts === undefined || !isPlaceProved(row, tables.accounts(row.key))) {
    return { facts: told, reportedFacts: undefined };
  }
  const facts = withProved(told, row.facts);
  const reportedFacts = sameFacts(facts, told) ? undefined : told;
  // What a remote login has seen stays until the next one.
  const seen = row.facts.findings.filter((each) => isWeakLoginText(each) && !told.findings.includes(each));
  return { facts: { ...facts, findings: [...facts.findings, ...seen] }, reportedFacts };
}

/**
 * Stores what a remote login has found.
 * @param held what was reported and turned out to be so; undefined: the facts that were known did, and what was reported is dropped
 */
export function settleReport(tables: Tables, key: string, held: BmcFacts | undefined, now: Date): void {
  const row = tables.bmc(key);
  if (row?.reportedFacts === undefined || row.facts === undefined) return;
  // Another one came while this one was proved: it waits for its own login.
  if (held !== undefined && !sameFacts(held, row.reportedFacts)) return;
  const isNewMac = held !== undefined && held.mac !== row.mac;
  if (isNewMac && tables.bmc(held.mac) !== undefined) return;
  const facts = held === undefined ? row.facts : withProved(row.facts, held);
  tables.database.run(
    "UPDATE bmcs SET facts = ?, reported_facts = NULL, given_address = ? WHERE key = ?",
    BmcFacts.encode(facts).finish(),
    held !== undefined && tellsNewAddress(row.facts, held) ? "" : row.givenAddress,
    key,
  );
  const [was, is] = [addressOf(row.facts), addressOf(row.reportedFacts)];
  if (was !== is) {
    const [action, detail] =
      held === undefined
        ? ["address refused", `${is} was reported, but the BMC was found at ${was} and not there`]
        : ["address changed", `from ${was} to ${is}`];
    const { mac, machineUuid = "" } = row;
    tables.addHistory({ at: now, mac, machineUuid, actor: "service", action, detail });
  }
  if (isNewMac) changeChannel(tables, row, held.mac, "service", now);
}

/**
 * Stores which logins without a good password a remote login has seen, among the findings of the agent: in the place of those
 * that were seen before.
 * @param seen undefined: the BMC did not tell, so nothing changes
 */
export function settleWeakLogins(tables: Tables, key: string, seen: readonly string[] | undefined): void {
  const facts = tables.bmc(key)?.facts;
  if (facts === undefined || seen === undefined) return;
  const findings = [...facts.findings.filter((each) => !isWeakLoginText(each)), ...seen];
  tables.database.run("UPDATE bmcs SET facts = ? WHERE key = ?", BmcFacts.encode({ ...facts, findings }).finish(), key);
}

/** Whether a report names an address that the BMC did not tell before. */
export function tellsNewAddress(before: BmcFacts | undefined, after: BmcFacts): boolean {
  const host = toldEndpoint(after)?.host;
  return host !== undefined && host !== (before && toldEndpoint(before)?.host);
}

/** For the history. */
export function addressOf(facts: BmcFacts): string {
  const endpoint = toldEndpoint(facts);
  return endpoint === undefined ? "no address yet" : shownAddress(endpoint);
}

function withProved(description: BmcFacts, proved: BmcFacts): BmcFacts {
  return { ...description, ...Object.fromEntries(provedFields.map((field) => [field, proved[field]])) };
}

export function sameFacts(one: BmcFacts, other: BmcFacts): boolean {
  return Buffer.compare(BmcFacts.encode(one).finish(), BmcFacts.encode(other).finish()) === 0;
}
