import { isIPv4, isIPv6 } from "node:net";
import { isBogusUuid, parseUuid, uuidVersion } from "../../ipmi/guid.ts";
import { formatMac, macProblem, parseMac } from "../../ipmi/mac.ts";
import { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { Machine } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import { hideTokens } from "../../proto/hide-tokens.ts";
import { mostReportBytes } from "../../proto/report-json.ts";
import { invalid } from "./rpc-error.ts";

/** The most bytes (UTF-8) of a text. SMBIOS and FRU strings are below 256; reasons are sentences. */
const textLimit = 1_024;
const sentenceLimit = 8_192;
const sentences: ReadonlySet<string> = new Set(["reason", "remark", "findings", "gaps", "defects"]);
/** The most entries of a list: a machine has fewer disks, a BMC fewer channels. */
const listLimit = 1_024;
/** The most that is kept of the remarks of one report. */
const findingsLimit = { entries: 64, bytes: 16_384 };
/** The most bytes of the facts without their remarks: a FRU has three areas of 2 KiB, and a BMC at most 11 LAN channels. */
const factsLimit = 16_384;

/**
 * Holds every text, list and time of a request against its limit.
 * @throws RpcError INVALID_ARGUMENT naming the field: it would be as long the next time
 */
export function checkSizes(value: unknown): void {
  const found = sizeProblem(value, "");
  if (found !== undefined) throw invalid(found.path.join(".").replaceAll(".[", "["), found.problem);
}

interface SizeProblem {
  readonly path: readonly string[];
  readonly problem: string;
}

/**
 * The path is put together only where something is wrong: every call comes by here, with hundreds of fields.
 * @param name of the field that has the value, or the list that it is in
 */
function sizeProblem(value: unknown, name: string): SizeProblem | undefined {
  const problem = (text: string): SizeProblem => ({ path: [], problem: text });
  if (typeof value === "string") {
    const limit = sentences.has(name) ? sentenceLimit : textLimit;
    // No UTF-16 unit takes more than three bytes of UTF-8.
    const size = 3 * value.length <= limit ? 0 : Buffer.byteLength(value);
    return size > limit ? problem(`${size} bytes of text, at most ${limit} are accepted`) : undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (Array.isArray(value)) {
    if (value.length > listLimit) return problem(`${value.length} entries, at most ${listLimit} are accepted`);
    for (const [i, each] of value.entries()) {
      const found = sizeProblem(each, name);
      if (found !== undefined) return { ...found, path: [`[${i}]`, ...found.path] };
    }
    return undefined;
  }
  if (value instanceof Uint8Array) {
    const limit = name === "report" ? mostReportBytes : textLimit;
    return value.length > limit ? problem(`${value.length} bytes, at most ${limit} are accepted`) : undefined;
  }
  if (value instanceof Date) {
    // Seconds beyond what a date can hold are read as one that cannot be written again.
    return Number.isNaN(value.getTime()) ? problem("it is no time between the years -271821 and 275760") : undefined;
  }
  for (const [key, each] of Object.entries(value)) {
    const [field, inner] = isOneOf(each) ? [each.$case, each.value] : [key, each];
    const found = sizeProblem(inner, field);
    if (found !== undefined) return { ...found, path: [snakeCase(field), ...found.path] };
  }
  return undefined;
}

/** In the message the field has the name of the case. */
function isOneOf(value: unknown): value is { readonly $case: string; readonly value: unknown } {
  return typeof value === "object" && value !== null && "$case" in value && "value" in value;
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Quotes what was given, so that a person sees it: cut, and without what a terminal would act on. */
function quoted(text: string): string {
  const short = text.length > 64 ? `${text.slice(0, 64)}...` : text;
  return JSON.stringify(hideTokens(short));
}

/** In lower case with colons. */
export function requireMac(field: string, text: string): string {
  const mac = parseMac(text);
  if (mac === undefined) throw invalid(field, `${quoted(text)} is no MAC address (six pairs of hexadecimal digits)`);
  const problem = macProblem(mac);
  if (problem !== undefined) throw invalid(field, `${quoted(text)} cannot be the MAC address of a BMC: ${problem}`);
  return formatMac(mac);
}

/** In lower case. */
export function requireUuid(field: string, text: string): string {
  if (parseUuid(text) === undefined) {
    throw invalid(field, `${quoted(text)} is no UUID (8-4-4-4-12 hexadecimal digits)`);
  }
  return text.toLowerCase();
}

/** Also not one of those that identify nothing. */
export function requireMachineUuid(field: string, text: string): string {
  const uuid = requireUuid(field, text);
  if (isBogusUuid(uuid)) {
    throw invalid(field, `${uuid} is a placeholder that many boards share: set a UUID of its own in the firmware`);
  }
  return uuid;
}

/** As long as the agent's key `site`. */
const mostSiteBytes = 64;

/**
 * The machine with its UUIDs in their one form. Whether a derived one is made of this board and this BMC is not looked at: the
 * service is not told all that the agent reads for it, and who lies can as well make up a UUID that the firmware tells.
 */
export function requireMachine(path: string, machine: Machine): Machine {
  const uuid = requireMachineUuid(`${path}.uuid`, machine.uuid);
  const { uuidDerived, firmwareUuid, site } = machine;
  if (site !== "") requireAscii(`${path}.site`, site, mostSiteBytes);
  if (uuidDerived && uuidVersion(uuid) !== 5) {
    throw invalid(`${path}.uuid`, `${uuid} is said to be derived, but is not of version 5 (RFC 9562 5.5)`);
  }
  if (firmwareUuid === "") return { ...machine, uuid };
  const field = `${path}.firmware_uuid`;
  if (!uuidDerived) throw invalid(field, "only a machine whose UUID is derived has another one in its firmware");
  return { ...machine, uuid, firmwareUuid: requireUuid(field, firmwareUuid) };
}

/** MAC of a BMC, UUID of a machine, or the key of a row of several with one UUID: the UUID, "/" and more. */
export function requireKey(field: string, text: string): { readonly key: string } | { readonly uuid: string } {
  if (parseMac(text) !== undefined) return { key: requireMac(field, text) };
  if (parseUuid(text) !== undefined) return { uuid: text.toLowerCase() };
  const [uuid = "", ...more] = text.split("/");
  if (more.length > 0 && parseUuid(uuid) !== undefined) return { key: [uuid.toLowerCase(), ...more].join("/") };
  throw invalid(field, `${quoted(text)} is neither a MAC address nor a UUID`);
}

/** An integer from `low` to `high`. */
export function requireRange(field: string, value: number, low: number, high: number): number {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw invalid(field, `${value} is not from ${low} to ${high}`);
  }
  return value;
}

/** A text of printable ASCII, for what goes to a BMC. The value is not quoted: it may be a secret, and that comes as bytes. */
export function requireAscii<T extends string | Uint8Array>(field: string, text: T, mostBytes: number): T {
  if (text.length === 0) throw invalid(field, "it is missing");
  if (text.length > mostBytes) throw invalid(field, `${text.length} characters, at most ${mostBytes} are allowed`);
  const isAscii =
    typeof text === "string" ? /^[\x20-\x7e]+$/.test(text) : text.every((byte) => byte >= 0x20 && byte <= 0x7e);
  if (!isAscii) throw invalid(field, "it is not printable ASCII");
  return text;
}

/** A text that must be there. */
export function requireText(field: string, text: string): string {
  if (text.trim() === "") throw invalid(field, "it is missing");
  return text;
}

/** Remarks that are too many or too long are no reason to refuse a machine: those that come last are left out, and it is said. */
function cutFindings(findings: readonly string[]): string[] {
  let bytes = 0;
  const tooMany = findings.findIndex((each, i) => {
    bytes += Buffer.byteLength(each);
    return i >= findingsLimit.entries || bytes > findingsLimit.bytes;
  });
  if (tooMany === -1) return [...findings];
  const kept = findings.slice(0, Math.min(tooMany, findingsLimit.entries - 1));
  return [
    ...kept,
    `${findings.length - kept.length} further remarks of this report are left out: they are too many or too long`,
  ];
}

/** The facts with every identifier in its one form. A BMC that tells no MAC address has no channel either. */
export function requireFacts(path: string, facts: BmcFacts): BmcFacts {
  const field = (name: string) => `${path}.${name}`;
  const ipv4 = (name: string, text: string) => {
    if (text !== "" && !isIPv4(text)) throw invalid(field(name), `${quoted(text)} is no IPv4 address`);
    return text;
  };
  const size = BmcFacts.encode({ ...facts, findings: [] }).finish().length;
  if (size > factsLimit) throw invalid(path, `${size} bytes without findings, at most ${factsLimit} are accepted`);
  const address = ipv4("ipv4_address", facts.ipv4Address);
  if (address === "0.0.0.0") throw invalid(field("ipv4_address"), "0.0.0.0 is no address: leave it empty");
  for (const [i, each] of facts.ipv6Addresses.entries()) {
    const [host = "", prefix = "128", ...more] = each.split("/");
    const good = isIPv6(host) && !host.includes("%") && /^\d{1,3}$/.test(prefix) && Number(prefix) <= 128;
    if (!good || more.length > 0) {
      throw invalid(field(`ipv6_addresses[${i}]`), `${quoted(each)} is no IPv6 address with prefix length`);
    }
  }
  if (!/^(?:[0-9a-f]{32})?$/i.test(facts.guid)) {
    throw invalid(field("guid"), `${quoted(facts.guid)} is not 16 bytes in hexadecimal`);
  }
  return {
    ...facts,
    mac: facts.mac === "" ? "" : requireMac(field("mac"), facts.mac),
    channel: facts.mac === "" ? 0 : requireRange(field("channel"), facts.channel, 1, 11),
    ipv4Address: address,
    ipv4Mask: ipv4("ipv4_mask", facts.ipv4Mask),
    ipv4Gateway: ipv4("ipv4_gateway", facts.ipv4Gateway),
    vlanId: requireRange(field("vlan_id"), facts.vlanId, 0, 4095),
    rmcpPort: requireRange(field("rmcp_port"), facts.rmcpPort, 0, 65_535),
    guid: facts.guid.toLowerCase(),
    findings: cutFindings(facts.findings),
  };
}
