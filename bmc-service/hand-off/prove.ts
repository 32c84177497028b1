import { send } from "../../ipmi/command.ts";
import { getSystemGuid } from "../../ipmi/commands/get-system-guid.ts";
import { getUserAccess } from "../../ipmi/commands/get-user-access.ts";
import type { DeviceIdentity } from "../../ipmi/device-identity.ts";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { macAddress, readLanParameter } from "../../ipmi/lan-parameters.ts";
import { type PrivilegeLevel, privilegeLevels } from "../../ipmi/privilege-level.ts";
import type { BmcFacts, ChassisState } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import {
  FailureKind,
  NonceComparison,
  type WatchHandOffResponse,
} from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { readChassisState } from "../drivers/ipmi/chassis-state.ts";
import type { BmcSession } from "../reach/connect-bmc.ts";
import type { AccountRow } from "../store/store.ts";
import { findSlot } from "./find-slot.ts";
import { compareGuid } from "./guid-comparison.ts";
import { HandOffError, isBusy } from "./hand-off-error.ts";
import { readNonce } from "./linkage-nonce.ts";
import { readDevice } from "./read-device.ts";
import { findWeakLogins } from "./weak-logins.ts";

export type HandOffEvent = NonNullable<WatchHandOffResponse["event"]>;

/** What the BMC at the other end of the session must turn out to be. */
export interface Expected {
  readonly facts: BmcFacts;
  readonly machineUuid: string;
  /** IPMI 2.0 table 6-1. */
  readonly privilege: number;
  /** What the agent wrote in-band, as long as it stands there; the agent takes it back when it follows the hand-off no more. */
  readonly nonce?: (() => string | undefined) | undefined;
  /** Whose slot has to have that privilege; a slot 0 is looked for by the name. */
  readonly account: Pick<AccountRow, "userName" | "slot" | "channel">;
}

/** What was read from remote. */
export interface Proof {
  /** Hexadecimal as on the wire; empty if the BMC tells none. */
  readonly guid: string;
  readonly chassis: ChassisState | undefined;
  /** User ID of the account; 0 if the BMC does not tell. */
  readonly slot: number;
  /** What could not be read and why, one sentence each. */
  readonly remarks: readonly string[];
  /** Logins that ask for no good password, for an operator; undefined if the BMC did not tell. */
  readonly weakLogins: readonly string[] | undefined;
  /** Undefined if the BMC did not tell. */
  readonly device: DeviceIdentity | undefined;
}

/**
 * Proves from remote that the session's BMC is the one that was reported in-band, and that the account rules it:
 * MAC, then GUID, then the agent's nonce where there is one, then privilege. Changes nothing on the BMC.
 * @throws HandOffError, and the errors of `send`
 */
export async function prove(
  session: BmcSession,
  expected: Expected,
  emit: (event: HandOffEvent) => void,
  signal: AbortSignal,
): Promise<Proof> {
  const { facts } = expected;
  const remarks: string[] = [];
  const mac = await readLanParameter(session, facts.channel, macAddress, signal);
  if (mac !== facts.mac) {
    throw new HandOffError(
      FailureKind.FAILURE_KIND_OTHER_BMC,
      `${session.name}: the BMC there has MAC ${mac} on channel ${facts.channel}, not ${facts.mac} as the machine's own BMC: ` +
        "two BMCs may share the address, or it was given to another one",
    );
  }
  emit({ $case: "macMatches", value: { mac } });

  const remote = await readGuid(session, remarks, signal);
  const guid = remote === undefined ? "" : Buffer.from(remote).toString("hex");
  const result = compareGuid(remote, { guid: facts.guid, machineUuid: expected.machineUuid });
  if (result === "another BMC") {
    throw new HandOffError(
      FailureKind.FAILURE_KIND_OTHER_BMC,
      `${session.name}: the BMC there has GUID ${guid}, the machine's own BMC told ${facts.guid}: it is another BMC`,
    );
  }
  emit({ $case: "guidCompared", value: { result, guid } });
  await compareNonce(session, expected.nonce, remarks, emit, signal);

  const slot = await checkPrivilege(session, expected, remarks, signal);
  emit({ $case: "privilegeOk", value: { privilege: privilegeLevels[session.privilege] } });

  const chassis = await optionally("chassis state", remarks, () => readChassisState(session, signal));
  const weakLogins = await findWeakLogins(session, facts.channel, signal);
  const device = await readDevice(session, signal);
  return { guid, chassis, slot, remarks, weakLogins, device };
}

/** Undefined if the BMC says that it has none; while it is busy it says nothing of the kind. */
async function readGuid(session: BmcSession, remarks: string[], signal: AbortSignal): Promise<Uint8Array | undefined> {
  const response = await optionally("GUID", remarks, () => send(session, getSystemGuid, {}, signal));
  return response?.guid;
}

/** @throws HandOffError if another text stands there while the agent's must, and the errors of `send` */
async function compareNonce(
  session: BmcSession,
  expected: Expected["nonce"],
  remarks: string[],
  emit: (event: HandOffEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  if (expected?.() === undefined) return;
  const found = await optionally("nonce", remarks, () => readNonce(session, signal));
  const nonce = expected();
  if (found !== undefined && nonce !== undefined && found !== nonce) {
    throw new HandOffError(
      FailureKind.FAILURE_KIND_OTHER_BMC,
      `${session.name}: the BMC there does not have what the machine wrote to its own BMC a moment ago ` +
        `(System Info, name of the operating system: "${nonce}"): it is another BMC`,
    );
  }
  const same = found !== undefined && found === nonce;
  const result = same ? NonceComparison.NONCE_COMPARISON_SAME : NonceComparison.NONCE_COMPARISON_NOT_COMPARABLE;
  emit({ $case: "nonceCompared", value: { result } });
}

/**
 * The session was raised to its level, which some BMCs allow beyond the user's limit (ipmi_sim): so the limit is read
 * too, where the BMC shows it.
 * @returns the user ID of the account; 0 if the BMC does not tell
 */
async function checkPrivilege(
  session: BmcSession,
  { account, facts, privilege }: Expected,
  remarks: string[],
  signal: AbortSignal,
): Promise<number> {
  const lacking = (has: string) =>
    new HandOffError(
      FailureKind.FAILURE_KIND_PRIVILEGE,
      `${session.name}: user "${account.userName}" has ${has}, privilege level ${privilege} is needed`,
    );
  const own = privilegeLevels[session.privilege];
  if (own < privilege) throw lacking(`a session with level ${own}`);
  const channelNumber = account.channel || facts.channel;
  const search = () => findSlot(session, channelNumber, account.userName, signal);
  const userId = account.slot || ((await optionally("user names", remarks, search)) ?? 0);
  if (userId === 0) return 0;
  const request = { channelNumber, userId };
  const found = await optionally("user access", remarks, () => send(session, getUserAccess, request, signal));
  const limit = found === undefined ? 0 : levelOf(found.access.privilegeLimit);
  // 0 is reserved: the BMC does not say.
  if (limit !== 0 && (limit < privilege || limit === privilegeLevels.noAccess)) {
    throw lacking(limit === privilegeLevels.noAccess ? "no access" : `level ${limit} as its limit`);
  }
  return userId;
}

function levelOf(level: PrivilegeLevel): number {
  return typeof level === "number" ? level : (privilegeLevels[level as keyof typeof privilegeLevels] ?? 0);
}

/** Undefined, with a remark, if the BMC refuses for good; an answer that it is busy stays an error. */
async function optionally<T>(what: string, remarks: string[], read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof CompletionCodeError) || isBusy(error)) throw error;
    remarks.push(`${what} not read: ${error.message}`);
    return undefined;
  }
}
