import { randomBytes, randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { ImportResult } from "../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { InbandProof } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { ConfigError } from "../config-error.ts";
import { type HandOffs, laneOf } from "../hand-off/hand-offs.ts";
import type { CallContext } from "../rpc/guarded.ts";
import { RpcError } from "../rpc/rpc-error.ts";
import { readablePassword } from "../store/account-password.ts";
import { type BmcRow, MissingStepError, type Session, type Store } from "../store/store.ts";
import type { Liveness } from "../tokens/liveness.ts";
import { sha256 } from "../tokens/sha256.ts";
import { type OpenedAccount, type ReadImport, readImport } from "./read-import.ts";
import { type ReportKey, readReportKeys } from "./report-keys.ts";

export interface ImportOptions {
  readonly store: Store;
  readonly handOffs: HandOffs;
  readonly liveness: Liveness;
  /** The file of the keys to which reports are sealed. */
  readonly keys: string;
  /** How long a caller waits for the remote login, ms. It goes on when nobody waits for it. */
  readonly patienceMs: number;
}

/** What became of a report. */
export interface Imported {
  /** Key of the row. */
  readonly key: string;
  readonly result: ImportResult;
  readonly reason: string;
  readonly newAccounts: number;
}

/** How long the session lasts in which a report is told, ms. */
const sessionMs = 60_000;

/**
 * Tells the store what an agent without network has found and done, as the agent would have told it: by the same rules, conflicts
 * included. An operator who brings a report does not vouch for it: anybody can write on a stick. Then the service logs in.
 * @throws RpcError, ClaimConflictError, MachineBusyError, StoreError
 */
export async function importReport(options: ImportOptions, bytes: Uint8Array, context: CallContext): Promise<Imported> {
  const read = await readImport(bytes, await keysOf(options.keys));
  try {
    const { machine, facts } = read;
    context.note({ machine: machine.uuid });
    const known = await knownRow(options.store, read);
    const { row, newAccounts } =
      known === undefined ? await tell(options, read, context) : { row: known, newAccounts: 0 };
    context.note({ mac: row.key });
    if (known === undefined) await remember(options.store, row, read, newAccounts, context);
    const about = { key: row.key, newAccounts };
    const leftOut = read.leftOut.join(" ");
    if (known?.state === State.STATE_LINKED) {
      return { ...about, result: ImportResult.IMPORT_RESULT_LINKED, reason: leftOut };
    }
    if (read.accounts.length === 0 || facts === undefined) {
      const { stateReason } = row;
      return { ...about, result: ImportResult.IMPORT_RESULT_STORED, reason: stateReason };
    }
    const failure = await logIn(options, row.key, context);
    const result = failure === undefined ? ImportResult.IMPORT_RESULT_LINKED : ImportResult.IMPORT_RESULT_WAITING;
    return { ...about, result, reason: [failure, leftOut].filter(Boolean).join(" ") };
  } finally {
    for (const { password } of read.accounts) password.wipe();
  }
}

/** Read each time: a key that was made while the service runs is good at once. */
async function keysOf(path: string): Promise<readonly ReportKey[]> {
  try {
    return await readReportKeys(path);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new RpcError(status.FAILED_PRECONDITION, `the service's own key: ${error.message}`, { cause: error });
  }
}

/** The row of a report that brings nothing new: what it tells of the BMC may be older than what is known. */
async function knownRow(store: Store, { machine, facts, accounts }: ReadImport): Promise<BmcRow | undefined> {
  if (facts === undefined || facts.mac === "" || accounts.length === 0) return undefined;
  const { row } = (await store.bmc(facts.mac)) ?? {};
  if (row?.machineUuid !== machine.uuid) return undefined;
  return (await unknownAccounts(store, row.key, accounts)).length === 0 ? row : undefined;
}

async function unknownAccounts(
  store: Store,
  key: string,
  accounts: readonly OpenedAccount[],
): Promise<readonly OpenedAccount[]> {
  const stored = await store.accounts(key);
  return accounts.filter(
    ({ userName, password }) =>
      !stored.some((each) => each.userName === userName && readablePassword(each)?.equals(password)),
  );
}

/** One enrolment, in the order in which an agent tells it. */
async function tell(
  { store, liveness }: ImportOptions,
  read: ReadImport,
  context: CallContext,
): Promise<{ readonly row: BmcRow; readonly newAccounts: number }> {
  const { report, machine, facts, accounts } = read;
  const now = new Date();
  const id = randomUUID();
  const tokenHash = sha256(randomBytes(32).toString("base64url"));
  const { certificate, name } = context.caller;
  await store.beginSession({
    id,
    tokenHash,
    machine,
    bootId: report.bootId,
    agentVersion: report.agentVersion,
    claimedBy: name,
    binding: {
      certificate,
      keyHash: certificate,
      tokenHash: undefined,
      heardMs: liveness.heardMs,
      admitNew: () => undefined,
    },
    now,
    expiresAt: new Date(now.getTime() + sessionMs),
  });
  const session = async (): Promise<Session> => {
    const found = await store.session(tokenHash, now);
    if (found === undefined)
      throw new MissingStepError("the import was overtaken by another enrolment: import it again");
    return found;
  };
  try {
    const { noBmc, inventory, endedEarly, formerAccounts } = report;
    let row: BmcRow | undefined;
    if (facts !== undefined) row = await store.reportBmc(await session(), facts, now);
    else if (noBmc !== undefined) row = await store.reportNoBmc(await session(), noBmc, now);
    if (inventory !== undefined) await store.reportInventory(await session(), inventory, now);
    const fresh = row === undefined ? [] : await unknownAccounts(store, row.key, accounts);
    for (const account of fresh) await storeAccount(store, await session(), account, now);
    if (row !== undefined && fresh.length > 0 && formerAccounts > 0) {
      await store.setFormerAccounts(await session(), row.key, Math.min(formerAccounts, 63));
    }
    if (endedEarly !== undefined || row === undefined) {
      const { step = "", reason = "", inbandLocked = false } = endedEarly ?? {};
      const why = reason || "the report ends before it tells whether there is a BMC";
      await store.abort(await session(), { step, reason: why, inbandLocked }, now);
    }
    const settled = row?.key ?? (await session()).machineKey;
    const record = await store.bmc(settled);
    if (record === undefined) throw new MissingStepError(`the row ${settled} was deleted meanwhile: import it again`);
    return { row: record.row, newAccounts: fresh.length };
  } finally {
    // Nobody has to wait for it: it tells nothing more.
    liveness.over(id);
  }
}

async function storeAccount(
  store: Store,
  session: Session,
  { userName, password, slot, channel, proof, passwordForm }: OpenedAccount,
  now: Date,
): Promise<void> {
  const id = await store.escrowAccount(session, { userName, password, slot }, now);
  if (proof === InbandProof.INBAND_PROOF_UNSPECIFIED) return;
  await store.confirmAccount(session, id, { slot, channel, proof, passwordForm }, now);
}

async function remember(
  store: Store,
  { mac, machineUuid = "" }: BmcRow,
  { report, accounts }: ReadImport,
  newAccounts: number,
  { caller }: CallContext,
): Promise<void> {
  const written =
    report.writtenAt === undefined ? "" : `, written at ${report.writtenAt.toISOString()} by its own clock`;
  const site = report.machine?.site ?? "";
  const place = site === "" ? "" : ` at site "${site}"`;
  const detail = `report of ${report.agentVersion || "an agent"}${place}${written}: ${accounts.length} accounts, ${newAccounts} new`;
  await store.addHistory({ at: new Date(), mac, machineUuid, actor: caller.name, action: "report imported", detail });
}

/**
 * What the report says of a machine or BMC that is proved is taken by the store once an account of the report opens the BMC, also when
 * nobody waits here any more. Unlike an enrolment, an import is not noted as handed off where another account gets in: the report
 * may be older than what the machine has told itself since.
 * @returns why the service is not in, or not yet; undefined if it is
 */
async function logIn(
  { handOffs, patienceMs }: ImportOptions,
  key: string,
  context: CallContext,
): Promise<string | undefined> {
  const patience = AbortSignal.timeout(patienceMs);
  try {
    for await (const { event } of handOffs.watch(
      key,
      laneOf(context.caller.name),
      AbortSignal.any([patience, context.signal]),
    )) {
      if (event?.$case === "handedOff") return undefined;
      if (event?.$case === "failed") return event.value.reason;
    }
    return "The login broke off; import the report again.";
  } catch (error) {
    if (!patience.aborted || context.signal.aborted) throw error;
    return `The service has tried to log in for ${patienceMs / 1_000} s and goes on; "bmcctl describe" shows how it ends.`;
  }
}
