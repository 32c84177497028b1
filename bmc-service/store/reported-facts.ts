import { isWeakLoginText } from "../../ipmi/weak-logins.ts";
import { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { shownAddress, toldEndpoint } from "../reach/told-endpoint.ts";
import { isPlaceProved } from "./claim.ts";
import { changeChannel } from "./machines.ts";
import { hasProved } from "./proved-session.ts";
import type { BmcRow, HandOffSuccess, Session } from "./store.ts";
import type { Tables } from "./tables.ts";
import { isUnproved, unprovedText } from "./unproved-text.ts";
import { isVouched } from "./vouched.ts";

/*
 * A remote login proves where a BMC is, which one it is, and its kind and firmware. What an agent reports of a proved row is kept
 * beside until a login has found it there: else whoever knows a UUID and a MAC address could send the service elsewhere, or describe
 * the BMC as something else. Only who has made the account that was proved describes it at once.
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
export function takeReport(tables: Tables, row: BmcRow, session: Pick<Session, "id">, told: BmcFacts): TakenReport {
  const accounts = tables.accounts(row.key);
  if (row.facts === undefined || !isPlaceProved(row, accounts)) return { facts: told, reportedFacts: undefined };
  const facts = hasProved(session, accounts) ? described(row.facts, told) : row.facts;
  return { facts, reportedFacts: sameFacts(facts, told) ? undefined : told };
}

/**
 * Stores what a remote login has found.
 * @param provedBy id of the session whose password has opened the BMC
 */
export function settleReport(
  tables: Tables,
  key: string,
  { reported: held, device }: Pick<HandOffSuccess, "reported" | "device">,
  provedBy: string,
  now: Date,
): void {
  const row = tables.bmc(key);
  if (row?.facts === undefined) return;
  const { mac, machineUuid = "", reportedFacts } = row;
  const history = (action: string, detail: string) =>
    tables.addHistory({ at: now, mac, machineUuid, actor: "service", action, detail });
  const known = { ...row.facts, ...device };
  // Another one came while this one was proved: it waits for its own login.
  const waits = held !== undefined && reportedFacts !== undefined && !sameFacts(held, reportedFacts);
  const isNewMac = held !== undefined && held.mac !== mac;
  const isTaken = held !== undefined && !waits && reportedFacts !== undefined && mayTakeMac(tables, row, held.mac, now);
  const facts = isTaken ? { ...taken(tables, row, known, held, provedBy), ...device } : known;
  const left = waits || (held !== undefined && !isTaken) ? reportedFacts : undefined;
  const given = isTaken && tellsNewAddress(row.facts, held) ? "" : row.givenAddress;
  if (sameFacts(facts, row.facts) && left === reportedFacts && given === row.givenAddress) return;
  tables.database.run(
    "UPDATE bmcs SET facts = ?, reported_facts = ?, given_address = ? WHERE key = ?",
    BmcFacts.encode(facts).finish(),
    left === undefined ? null : BmcFacts.encode(left).finish(),
    given,
    key,
  );
  if (isNews(withProved(row.facts, facts), facts)) history("facts changed", `BMC at ${addressOf(facts)}`);
  const [was, is] = [addressOf(row.facts), addressOf(reportedFacts ?? row.facts)];
  if (was !== is && left === undefined) {
    if (isTaken) history("address changed", `from ${was} to ${is}`);
    else history("address refused", `${is} was reported, but the BMC was found at ${was} and not there`);
  }
  if (isTaken && isNewMac) changeChannel(tables, row, held.mac, "service", now);
}

/** What a session says is taken as it is if it has made the account that opens the BMC, or if an operator vouches for it. */
function taken(tables: Tables, row: BmcRow, known: BmcFacts, held: BmcFacts, provedBy: string): BmcFacts {
  const { database } = tables;
  const reportedBy = String(database.get("SELECT reported_by FROM bmcs WHERE key = ?", row.key)?.reported_by ?? "");
  const isItsOwn = reportedBy !== "" && (reportedBy === provedBy || isVouched(database, { id: reportedBy }));
  const place = withProved(known, held);
  if (isItsOwn) return withProved(described(known, held), held);
  // Of anybody else what was not known before, and what looks like what it is.
  const findings = known.findings.filter((each) => !isUnproved(each));
  const news = held.findings.filter((each) => !findings.includes(each));
  return {
    ...overlay(held, place),
    findings: news.length === 0 ? findings : [...findings, unprovedText(news.join(" "))],
  };
}

/** `known` with the description of `told`. What a remote login has seen of weak logins stays until the next one. */
function described(known: BmcFacts, told: BmcFacts): BmcFacts {
  const seen = known.findings.filter((each) => isWeakLoginText(each) && !told.findings.includes(each));
  return { ...withProved(told, known), findings: [...told.findings, ...seen] };
}

/**
 * A login has found that the BMC has that MAC address. A row of it that nothing has proved is no obstacle: anybody can make one.
 * @returns whether the row may go by it
 */
function mayTakeMac(tables: Tables, row: BmcRow, mac: string, now: Date): boolean {
  const other = mac === row.mac ? undefined : tables.bmc(mac);
  if (other === undefined) return true;
  if (isPlaceProved(other, tables.accounts(mac))) return false;
  tables.deleteBmc(other);
  const detail = `nothing had proved this row, and BMC ${row.mac} was found to have its MAC address too`;
  const { machineUuid = "" } = other;
  tables.addHistory({ at: now, mac, machineUuid, actor: "service", action: "replaced", detail });
  return true;
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

/** Whether a report tells another place or GUID than is known: what a remote login there has to prove. */
export function tellsOtherPlace(known: BmcFacts, told: BmcFacts): boolean {
  return !sameFacts(withProved(known, told), known);
}

/** Whether facts differ in more than how long the BMC took this time. */
export function isNews(before: BmcFacts, after: BmcFacts): boolean {
  return !sameFacts({ ...before, commandLatencies: undefined }, { ...after, commandLatencies: undefined });
}

/** What a short look has read takes the place of what was known; what it did not read stays. */
export function overlay(known: BmcFacts, seen: BmcFacts): BmcFacts {
  const isRead = (value: unknown) =>
    Array.isArray(value) ? value.length > 0 : value !== undefined && value !== "" && value !== 0;
  return { ...known, ...Object.fromEntries(Object.entries(seen).filter(([, value]) => isRead(value))) };
}

function withProved(description: BmcFacts, proved: BmcFacts): BmcFacts {
  return { ...description, ...Object.fromEntries(provedFields.map((field) => [field, proved[field]])) };
}

export function sameFacts(one: BmcFacts, other: BmcFacts): boolean {
  return Buffer.compare(BmcFacts.encode(one).finish(), BmcFacts.encode(other).finish()) === 0;
}
