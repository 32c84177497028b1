import {
  AddressSource,
  type Bmc,
  type CommandLatencies,
  type Fru,
  IdentifyLed,
  State,
  WarningKind,
} from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { Machine } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import { printable } from "../service/printable.ts";

/** What YAML, JSON and tables show. */
export type Value = string | number | boolean | readonly Value[] | Document;
export interface Document {
  readonly [key: string]: Value;
}
type Draft = { readonly [key: string]: Value | undefined | Draft };

/** What stands in place of a password. */
export const hidden = "[hidden]";
const rmcpPort = 623;

/**
 * One row with the keys and the order of MEP-15, and ours after them. What is unknown is left out.
 * The keys are the contract of YAML and JSON output. The password is hidden unless `showSecrets`, whatever the row holds.
 */
export function bmcDocument(row: Bmc, { showSecrets = false } = {}): Document {
  const { facts, machine, account, chassis } = row;
  const ipmi = row.drivers.includes("IPMI") || account !== undefined;
  return known({
    mac: row.mac,
    address: row.address,
    vendor: row.vendor,
    protocol: row.drivers[0],
    machine_id: row.machineUuid,
    machine_id_derived: machine?.uuidDerived || undefined,
    firmware_uuid: machine?.firmwareUuid,
    site: machine?.site,
    created_at: row.createdAt?.toISOString(),
    changed_at: row.changedAt?.toISOString(),
    bios: { date: machine?.bios?.date, vendor: machine?.bios?.vendor, version: machine?.bios?.version },
    board: boardDocument(facts?.fru),
    bmc: { version: facts?.firmwareVersion },
    ipmi: {
      interface: ipmi ? "lanplus" : undefined,
      port: ipmi ? portOf(row) : undefined,
      password: account && (showSecrets ? account.password : hidden),
      user: account?.userName,
      slot: account?.slot || undefined,
    },
    powermetric: { powerstate: chassis ? (chassis.powerOn ? "ON" : "OFF") : undefined },
    ledstate: ledDocument(chassis?.identifyLed),
    state: stateName(row.state),
    state_reason: row.stateReason,
    verified_at: row.verifiedAt?.toISOString(),
    drivers: row.drivers,
    network: {
      channel: facts?.channel || undefined,
      ipv4_address: facts?.ipv4Address,
      ipv4_source: facts && sourceName(facts.ipv4Source),
      ipv4_mask: facts?.ipv4Mask,
      ipv4_gateway: facts?.ipv4Gateway,
      vlan_id: facts?.vlanId || undefined,
      ipv6_addresses: facts?.ipv6Addresses,
    },
    device: {
      manufacturer_id: facts?.manufacturerId || undefined,
      product_id: facts?.productId || undefined,
      ipmi_version: facts?.ipmiVersion,
      guid: facts?.guid,
      remote_guid: row.remoteGuid,
      transport: facts?.transport,
    },
    smbios: smbiosDocument(machine),
    findings: [...(facts?.findings ?? []), ...(facts?.fru?.defects ?? [])],
    warnings: row.warnings.map(({ kind, text }) => ({ kind: warningName(kind), text })),
    command_latencies: latenciesDocument(facts?.commandLatencies),
    agent_version: row.agentVersion,
  });
}

// The names of metal-stack's API for a FRU.
function boardDocument(fru: Fru | undefined): Draft {
  return {
    board_mfg: fru?.boardManufacturer,
    board_mfg_date: fru?.boardManufacturedAt?.toISOString(),
    board_mfg_serial: fru?.boardSerial,
    board_part_number: fru?.boardPartNumber,
    board_product: fru?.boardProductName,
    chassis_part_number: fru?.chassisPartNumber,
    chassis_part_serial: fru?.chassisSerial,
    product_asset_tag: fru?.productAssetTag,
    product_manufacturer: fru?.productManufacturer,
    product_name: fru?.productName,
    product_part_number: fru?.productPartNumber,
    product_serial: fru?.productSerial,
    product_version: fru?.productVersion,
  };
}

function smbiosDocument(machine: Machine | undefined): Draft {
  const { system, board, chassis } = machine ?? {};
  return {
    version: machine?.smbiosVersion,
    system: {
      manufacturer: system?.manufacturer,
      product_name: system?.productName,
      version: system?.version,
      serial_number: system?.serialNumber,
      sku_number: system?.skuNumber,
      family: system?.family,
    },
    board: {
      manufacturer: board?.manufacturer,
      product_name: board?.productName,
      version: board?.version,
      serial_number: board?.serialNumber,
      asset_tag: board?.assetTag,
    },
    chassis: {
      manufacturer: chassis?.manufacturer,
      version: chassis?.version,
      serial_number: chassis?.serialNumber,
      asset_tag: chassis?.assetTag,
    },
  };
}

/** A bucket without a bound is the last one: it counts what took longer than the one before. */
function latenciesDocument(latencies: CommandLatencies | undefined): Draft | undefined {
  if (latencies === undefined) return undefined;
  const { longestMs, buckets } = latencies;
  return {
    longest_ms: longestMs,
    buckets: buckets.map(({ upToMs, count }) => (upToMs === 0 ? { count } : { up_to_ms: upToMs, count })),
  };
}

/** The kind as one lower-case word. A newer service's kind is its number. */
export function warningName(kind: WarningKind): string {
  switch (kind) {
    case WarningKind.WARNING_KIND_DUPLICATE_UUID:
      return "duplicate_uuid";
    case WarningKind.WARNING_KIND_SHARED_CERTIFICATE:
      return "shared_certificate";
    case WarningKind.WARNING_KIND_CONFLICT:
      return "conflict";
    case WarningKind.WARNING_KIND_ADDRESS:
      return "address";
    case WarningKind.WARNING_KIND_UNSPECIFIED:
    case WarningKind.UNRECOGNIZED:
      return "unknown";
    default:
      kind satisfies never;
      return `kind ${kind}`;
  }
}

function ledDocument(led: IdentifyLed | undefined): Draft | undefined {
  switch (led) {
    case IdentifyLed.IDENTIFY_LED_OFF:
      return { value: "LED-OFF" };
    case IdentifyLed.IDENTIFY_LED_ON:
      return { value: "LED-ON" };
    case IdentifyLed.IDENTIFY_LED_TIMED:
      return { description: "on for some seconds", value: "LED-ON" };
    case undefined:
    case IdentifyLed.IDENTIFY_LED_UNSPECIFIED:
    case IdentifyLed.UNRECOGNIZED:
      return undefined;
    default:
      return led satisfies never;
  }
}

/** The state as one lower-case word; undefined if the service does not tell. A newer service's state is its number. */
export function stateName(state: State): string | undefined {
  switch (state) {
    case State.STATE_UNSPECIFIED:
      return undefined;
    case State.STATE_REPORTED:
      return "reported";
    case State.STATE_ESCROWED:
      return "escrowed";
    case State.STATE_CONFIRMED:
      return "confirmed";
    case State.STATE_LINKED:
      return "linked";
    case State.STATE_FAILED:
      return "failed";
    case State.STATE_LOCKED:
      return "locked";
    case State.STATE_UNMANAGED:
      return "unmanaged";
    case State.UNRECOGNIZED:
      return "unknown";
    default:
      state satisfies never;
      return `state ${state}`;
  }
}

function sourceName(source: AddressSource): string | undefined {
  switch (source) {
    case AddressSource.ADDRESS_SOURCE_STATIC:
      return "static";
    case AddressSource.ADDRESS_SOURCE_DHCP:
      return "dhcp";
    case AddressSource.ADDRESS_SOURCE_BIOS:
      return "bios";
    case AddressSource.ADDRESS_SOURCE_OTHER:
      return "other";
    case AddressSource.ADDRESS_SOURCE_UNSPECIFIED:
    case AddressSource.UNRECOGNIZED:
      return undefined;
    default:
      source satisfies never;
      return `source ${source}`;
  }
}

/** The key of the row; an older service does not tell it. */
export function keyOf(row: Bmc): string {
  return row.key || row.mac || row.machineUuid;
}

/** The row's own IP address as the BMC told it; else the host at which the service reaches it; empty if neither is known. */
export function ipOf(row: Bmc): string {
  const told = row.facts?.ipv4Address || row.facts?.ipv6Addresses[0]?.replace(/\/.*$/, "");
  if (told) return told;
  const [, bracketed, plain] = /^(?:\[(.*)\]|([^:]*))(?::\d+)?$/.exec(row.address) ?? [];
  return bracketed ?? plain ?? row.address;
}

function portOf(row: Bmc): number {
  const port = /^(?:\[.*\]|[^:]*):(\d+)$/.exec(row.address)?.[1];
  return port === undefined ? row.facts?.rmcpPort || rmcpPort : Number(port);
}

// Leaves out what is unknown, and whatever of it is left empty. Texts come from firmware: they may not command a terminal.
function known(draft: Draft): Document {
  const kept: Record<string, Value> = {};
  for (const [key, value] of Object.entries(draft)) {
    const clean = value === undefined ? undefined : cleaned(value);
    if (clean !== undefined) kept[key] = clean;
  }
  return kept;
}

function cleaned(value: Value | Draft): Value | undefined {
  if (typeof value === "string") return value === "" ? undefined : printable(value);
  if (typeof value !== "object") return value;
  if (isList(value)) {
    const items = value.map(cleaned).filter((item) => item !== undefined);
    return items.length > 0 ? items : undefined;
  }
  const inner = known(value);
  return Object.keys(inner).length > 0 ? inner : undefined;
}

function isList(value: object): value is readonly Value[] {
  return Array.isArray(value);
}

/** The document as "a.b.c" and text, for tables and for comparing two of them. */
export function flatten(document: Document, prefix = ""): [string, string][] {
  return Object.entries(document).flatMap(([key, value]): [string, string][] => {
    if (typeof value !== "object") return [[prefix + key, String(value)]];
    if (isList(value)) {
      return [[prefix + key, value.map((item) => (typeof item === "object" ? JSON.stringify(item) : item)).join(", ")]];
    }
    return flatten(value, `${prefix}${key}.`);
  });
}
