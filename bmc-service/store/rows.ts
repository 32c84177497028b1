import type { Secret } from "../../ipmi/secret.ts";
import { BmcFactsOutline } from "../../proto/gen/metalrivet/store/v1/outline.ts";
import { type AccountState, BmcFacts, ChassisState, type State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { InbandProof, PasswordForm } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { Inventory, Machine } from "../../proto/gen/metalstack/bmc/v1/machine.ts";
import type { SqlRow } from "./database.ts";
import type { TokenRow } from "./enrolment-token.ts";
import { SealBrokenError, type SecretBox } from "./secret-box.ts";
import type { AcceptedClaim, AccountRow, BmcRow, HistoryRow, MachineRow, Session } from "./store.ts";
import { StoreError } from "./store-error.ts";

/** What an account's password is sealed for: it opens in this row only. */
export function accountPlace(id: string): string {
  return `account:${id}`;
}

/** What the agent told is decoded when it is asked for: lists of all rows need little of it. */
export function bmcRow(row: SqlRow): BmcRow {
  let facts: BmcFacts | undefined;
  return {
    key: text(row, "key"),
    mac: text(row, "mac"),
    machineKey: textOrNone(row, "machine_key"),
    machineUuid: textOrNone(row, "machine_uuid"),
    drivers: JSON.parse(text(row, "drivers")) as string[],
    state: number(row, "state") as State,
    stateReason: text(row, "state_reason"),
    get facts() {
      facts ??= decoded(row, "facts", BmcFacts);
      return facts;
    },
    reportedFacts: decoded(row, "reported_facts", BmcFacts),
    acceptedClaim: acceptedClaim(row),
    givenAddress: text(row, "given_address"),
    remoteGuid: text(row, "remote_guid"),
    chassis: decoded(row, "chassis", ChassisState),
    verifiedAt: timeOrNone(row, "verified_at"),
    createdAt: time(row, "created_at"),
    changedAt: time(row, "changed_at"),
  };
}

/** What a list shows of it, see BmcOutline; with the name of its machine's certificate, which is in another table. */
export function listedRow(row: SqlRow) {
  let facts: BmcFactsOutline | undefined;
  return {
    key: text(row, "key"),
    mac: text(row, "mac"),
    machineKey: textOrNone(row, "machine_key"),
    machineUuid: textOrNone(row, "machine_uuid"),
    drivers: JSON.parse(text(row, "drivers")) as string[],
    state: number(row, "state") as State,
    stateReason: text(row, "state_reason"),
    get facts() {
      facts ??= decoded(row, "facts", BmcFactsOutline);
      return facts;
    },
    givenAddress: text(row, "given_address"),
    claimedBy: textOrNone(row, "claimed_by") ?? "",
  };
}

function acceptedClaim(row: SqlRow): AcceptedClaim | undefined {
  const stored = textOrNone(row, "accepted_claim");
  return stored === undefined ? undefined : (JSON.parse(stored) as AcceptedClaim);
}

/** Decoded when it is asked for, as in `bmcRow`. */
export function machineRow(row: SqlRow): MachineRow {
  let machine: Machine | undefined;
  let inventory: Inventory | undefined;
  return {
    key: text(row, "key"),
    uuid: text(row, "uuid"),
    get machine() {
      machine ??= Machine.decode(bytes(row, "machine"));
      return machine;
    },
    get inventory() {
      inventory ??= decoded(row, "inventory", Inventory);
      return inventory;
    },
    agentVersion: text(row, "agent_version"),
    bootId: text(row, "boot_id"),
    claimedBy: text(row, "claimed_by"),
  };
}

export function accountRow(row: SqlRow, box: SecretBox): AccountRow {
  const id = text(row, "id");
  let password: Secret | undefined;
  return {
    id,
    bmcKey: text(row, "bmc_key"),
    sessionId: text(row, "session_id"),
    userName: text(row, "user_name"),
    get password() {
      password ??= openPassword(row, box);
      return password;
    },
    slot: number(row, "slot"),
    channel: number(row, "channel"),
    proof: number(row, "proof") as InbandProof,
    givenBy: text(row, "given_by"),
    passwordForm: number(row, "password_form") as PasswordForm,
    kind: {
      manufacturerId: number(row, "manufacturer_id"),
      productId: number(row, "product_id"),
      firmwareVersion: text(row, "firmware_version"),
    },
    state: number(row, "state") as AccountState,
    stateReason: text(row, "state_reason"),
    verifiedAt: timeOrNone(row, "verified_at"),
    createdAt: time(row, "created_at"),
  };
}

/** @throws StoreError "damaged secret" */
function openPassword(row: SqlRow, box: SecretBox): Secret {
  const id = text(row, "id");
  try {
    return box.open(bytes(row, "sealed_password"), accountPlace(id));
  } catch (error) {
    if (!(error instanceof SealBrokenError)) throw error;
    const which = `account ${id} ("${text(row, "user_name")}") of BMC ${text(row, "bmc_key")}`;
    throw new StoreError(
      "damaged secret",
      `${which}: its password is damaged in the database. Boot the machine again to make a new one, give one ` +
        "(bmcctl update), or restore a backup",
      { cause: error },
    );
  }
}

export function sessionRow(row: SqlRow): Session {
  return {
    id: text(row, "id"),
    machineKey: text(row, "machine_key"),
    machineUuid: text(row, "machine_uuid"),
    bootId: text(row, "boot_id"),
    bmcKey: textOrNone(row, "bmc_key"),
    certificate: bytesOrNone(row, "certificate"),
    keyHash: bytesOrNone(row, "key_hash"),
    tokenId: textOrNone(row, "token_id"),
    ended: text(row, "ended"),
    createdAt: time(row, "created_at"),
    expiresAt: time(row, "expires_at"),
  };
}

export function tokenRow(row: SqlRow): TokenRow {
  return {
    id: text(row, "id"),
    machineUuid: text(row, "machine_uuid"),
    createdAt: time(row, "created_at"),
    expiresAt: time(row, "expires_at"),
    uses: number(row, "uses"),
    used: number(row, "used"),
    revokedAt: timeOrNone(row, "revoked_at"),
    createdBy: text(row, "created_by"),
  };
}

export function historyRow(row: SqlRow): HistoryRow {
  return {
    at: time(row, "at"),
    mac: text(row, "mac"),
    machineUuid: text(row, "machine_uuid"),
    actor: text(row, "actor"),
    action: text(row, "action"),
    detail: text(row, "detail"),
  };
}

function text(row: SqlRow, column: string): string {
  const value = row[column];
  if (typeof value !== "string") throw new TypeError(`column ${column}: ${typeof value} is no text`);
  return value;
}

function textOrNone(row: SqlRow, column: string): string | undefined {
  return row[column] === null ? undefined : text(row, column);
}

function number(row: SqlRow, column: string): number {
  const value = row[column];
  if (typeof value !== "number") throw new TypeError(`column ${column}: ${typeof value} is no number`);
  return value;
}

function bytes(row: SqlRow, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array)) throw new TypeError(`column ${column}: ${typeof value} is no blob`);
  return value;
}

function bytesOrNone(row: SqlRow, column: string): Uint8Array | undefined {
  return row[column] === null ? undefined : bytes(row, column);
}

/** A message of metalstack.bmc.v1, as it is stored. */
function decoded<T>(row: SqlRow, column: string, message: { decode(bytes: Uint8Array): T }): T | undefined {
  const stored = bytesOrNone(row, column);
  return stored && message.decode(stored);
}

function time(row: SqlRow, column: string): Date {
  return new Date(number(row, column));
}

function timeOrNone(row: SqlRow, column: string): Date | undefined {
  return row[column] === null ? undefined : time(row, column);
}
