import { randomBytes, randomUUID } from "node:crypto";
import { status } from "@grpc/grpc-js";
import { Secret } from "../../ipmi/secret.ts";
import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import {
  type BeginRequest,
  type BeginResponse,
  type ConfirmAccountRequest,
  type EnrolmentServiceServer,
  type EscrowAccountRequest,
  InbandProof,
  Linkage,
  PasswordForm,
  type Policy,
  type ReportBmcRequest,
} from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import type { HandOffs } from "../hand-off/hand-offs.ts";
import { nonceOf } from "../hand-off/linkage-nonce.ts";
import type { Metrics } from "../metrics.ts";
import { readablePassword } from "../store/account-password.ts";
import {
  type AccountRow,
  type BmcRow,
  ClaimConflictError,
  MissingStepError,
  type Session,
  type Store,
  TooManyAccountsError,
} from "../store/store.ts";
import type { Admission } from "../tokens/admission.ts";
import type { Liveness } from "../tokens/liveness.ts";
import { sha256 } from "../tokens/sha256.ts";
import { requireAscii, requireFacts, requireMac, requireMachine, requireRange, requireText } from "./fields.ts";
import type { CallContext, Guard } from "./guarded.ts";
import type { EnrolmentLimits } from "./limits.ts";
import { networkOf } from "./network-of.ts";
import { requireStrong } from "./password-strength.ts";
import { type Caller, requireOwnMachine } from "./role.ts";
import { invalid, RpcError } from "./rpc-error.ts";
import { WrittenNonces } from "./written-nonces.ts";

export interface EnrolmentOptions {
  readonly store: Store;
  readonly handOffs: HandOffs;
  readonly metrics: Metrics;
  readonly admission: Admission;
  readonly liveness: Liveness;
  readonly limits: EnrolmentLimits;
  readonly policy: Policy;
  /** How long after a remote login the BMC is left alone at a boot, ms. */
  readonly freshForMs: number;
  /** How long a session token is valid, ms. */
  readonly sessionMs: number;
}

/** The service that the agent calls; see the contract. */
export function enrolmentService(options: EnrolmentOptions, guard: Guard): EnrolmentServiceServer {
  const { store, handOffs, metrics, admission, liveness, limits } = options;
  const nonces = new WrittenNonces();

  async function sessionOf({ sessionToken }: { readonly sessionToken: string }, context: CallContext) {
    const session = sessionToken === "" ? undefined : await store.session(sha256(sessionToken), new Date());
    if (session === undefined) {
      const details = "session_token: unknown or expired; begin again";
      throw new RpcError(status.UNAUTHENTICATED, details, { attack: "unknown session token" });
    }
    context.note({ machine: session.machineUuid });
    admission.requireBound(session, context.caller);
    await limits.call(session.id);
    return session;
  }

  return {
    begin: guard.unary("Begin", (request: BeginRequest, context) =>
      begin(options, request, context).catch((error: unknown) => admission.countRefusal(error)),
    ),

    reportBmc: guard.unary("ReportBmc", async (request: ReportBmcRequest, context) => {
      const session = await sessionOf(request, context);
      try {
        const formerAccounts = requireRange("former_accounts", request.formerAccounts ?? 0, 0, 63);
        const row = await reportBmc(options, session, request, context);
        if (request.formerAccounts !== undefined) await store.setFormerAccounts(session, row.key, formerAccounts);
        await handOffs.settleMoved(row, session.id, networkOf(context.from));
        return { passwordFormHint: await passwordFormHint(store, row) };
      } catch (error) {
        if (error instanceof ClaimConflictError) metrics.enrolment("conflict");
        throw error;
      }
    }),

    reportInventory: guard.unary("ReportInventory", async (request, context) => {
      const session = await sessionOf(request, context);
      if (request.inventory === undefined) throw invalid("inventory", "it is missing");
      await store.reportInventory(session, request.inventory, new Date());
      return {};
    }),

    escrowAccount: guard.unary("EscrowAccount", async (request, context) => {
      const session = await sessionOf(request, context);
      return { accountId: await escrow(options, session, request, context) };
    }),

    confirmAccount: guard.unary("ConfirmAccount", async (request: ConfirmAccountRequest, context) => {
      const session = await sessionOf(request, context);
      const { proof } = request;
      if (proof !== InbandProof.INBAND_PROOF_PASSWORD_TESTED && proof !== InbandProof.INBAND_PROOF_READ_BACK_ONLY) {
        throw invalid("proof", "say how the account was proved");
      }
      const slot = requireRange("slot", request.slot, 1, 63);
      const channel = requireRange("channel", request.channel, 1, 11);
      await store.confirmAccount(
        session,
        requireText("account_id", request.accountId),
        { slot, channel, proof, passwordForm: knownForm(request.passwordForm) },
        new Date(),
      );
      if (session.bmcKey !== undefined) {
        nonces.set(session.bmcKey, request.nonceWritten ? nonceOf(request.sessionToken) : undefined);
      }
      metrics.enrolment("confirmed");
      return {};
    }),

    abort: guard.unary("Abort", async (request, context) => {
      const session = await sessionOf(request, context);
      // A run that breaks off outside its steps, or without a message, is still told.
      const { inbandLocked } = request;
      const how = { step: request.step.trim(), reason: request.reason.trim() || "no reason given", inbandLocked };
      await store.abort(session, how, new Date());
      liveness.over(session.id);
      metrics.enrolment("aborted");
      return {};
    }),

    watchHandOff: guard.stream("WatchHandOff", async function* (request, context) {
      const session = await sessionOf(request, context);
      const key = await handOffKey(store, session);
      context.note({ mac: key });
      using _ = liveness.follow(session.id);
      const nonce = nonceOf(request.sessionToken);
      const written = nonces.has(key, nonce) ? nonce : undefined;
      for await (const each of handOffs.watch(key, networkOf(context.from), context.signal, written)) {
        // Also where no account of this session was needed.
        if (each.event?.$case === "handedOff") await store.handedOff(session, new Date());
        yield each;
      }
      liveness.over(session.id);
    }),
  };
}

async function begin(
  { store, metrics, policy, freshForMs, sessionMs, admission }: EnrolmentOptions,
  request: BeginRequest,
  context: CallContext,
): Promise<BeginResponse> {
  const { machine, bootId, agentVersion } = request;
  if (machine === undefined) throw invalid("machine", "it is missing");
  const identified = requireMachine("machine", machine);
  const { uuid } = identified;
  requireOwnMachine(context.caller, uuid);
  context.note({ machine: uuid });
  const sessionToken = randomBytes(32).toString("base64url");
  const now = new Date();
  const expiresAt = new Date(now.getTime() + sessionMs);
  const { certificate, binding } = await admission.admit(request, uuid, context, now, expiresAt);
  const session = {
    id: randomUUID(),
    tokenHash: sha256(sessionToken),
    machine: identified,
    bootId: requireText("boot_id", bootId),
    agentVersion: requireText("agent_version", agentVersion),
    claimedBy: certificate.length > 0 ? uuid : context.caller.name,
    binding,
    now,
    expiresAt,
  };
  const machineKey = await store.beginSession(session).catch((error) => admission.refuse(error, context));
  metrics.enrolment("begun");
  const linkage = await linkageOf(store, machineKey, uuid, now, freshForMs);
  return { sessionToken, linkage, policy, certificate, linkageNonce: nonceOf(sessionToken) };
}

/**
 * The linkage that is known of a machine; undefined if none is. An account that an operator gave is not the agent's: its name is
 * not told, so that the agent takes it for somebody else's and leaves it alone; only that there is one. The names that were made for other machines with
 * this UUID are told too: while nobody has read the BMC's MAC address, this machine may be one of them. So they are also to a
 * machine that has no BMC yet: with a new board, or a serial number that was filled in, it would make a second account beside.
 */
async function linkageOf(
  store: Store,
  machineKey: string,
  uuid: string,
  now: Date,
  freshForMs: number,
): Promise<Linkage | undefined> {
  const { row, account } = (await store.bmcOfMachine(machineKey)) ?? {};
  const rows = await store.bmcsOfUuid(uuid);
  const accounts = await Promise.all(rows.map((each) => store.accounts(each.row.key)));
  const made = accounts.flat().filter(({ givenBy }) => givenBy === "");
  const knownUserNames = [...new Set(made.map(({ userName }) => userName))];
  if (row?.machineUuid === undefined || row.mac === "") {
    return knownUserNames.length === 0 ? undefined : Linkage.fromPartial({ knownUserNames });
  }
  const own = account?.givenBy === "" ? account : undefined;
  const age = row.verifiedAt === undefined ? Number.POSITIVE_INFINITY : now.getTime() - row.verifiedAt.getTime();
  // One that is damaged opens nothing: with the linkage taken for old, the machine makes a new one now.
  const damaged = account !== undefined && readablePassword(account) === undefined;
  // A machine that is left alone looks for no others of ours: those that were to be closed would stay open.
  const unfinished = await store.hasFormerAccounts(row.key);
  const untried = hasUntriedAccount(accounts.flat().filter(({ bmcKey }) => bmcKey === row.key));
  return {
    mac: row.mac,
    channel: row.facts?.channel ?? 0,
    userName: own?.userName ?? "",
    slot: own?.slot ?? 0,
    verifiedAt: row.verifiedAt,
    fresh: row.state === State.STATE_LINKED && age < freshForMs && !damaged && !unfinished && !untried,
    knownUserNames,
    given: account !== undefined && own === undefined,
  };
}

/** Whether a run has put an account into escrow since one was proved: the BMC may have it instead. */
function hasUntriedAccount(accounts: readonly AccountRow[]): boolean {
  const proved = accounts.findIndex(({ state }) => state === AccountState.ACCOUNT_STATE_VERIFIED);
  return accounts
    .slice(0, Math.max(proved, 0))
    .some(
      ({ state }) => state === AccountState.ACCOUNT_STATE_ESCROWED || state === AccountState.ACCOUNT_STATE_CONFIRMED,
    );
}

/** What others of the row's kind took; a BMC that does not tell its kind is like no other. */
async function passwordFormHint(store: Store, row: BmcRow): Promise<PasswordForm> {
  const facts = row.reportedFacts ?? row.facts;
  const known = facts === undefined || facts.manufacturerId === 0 ? undefined : await store.passwordForm(facts);
  return known ?? PasswordForm.PASSWORD_FORM_UNSPECIFIED;
}

/** A form that only a newer agent knows is no hint for anybody. */
function knownForm(form: PasswordForm): PasswordForm {
  return Object.values(PasswordForm).includes(form) && form !== PasswordForm.UNRECOGNIZED
    ? form
    : PasswordForm.PASSWORD_FORM_UNSPECIFIED;
}

/** By what a caller's limits go: one that was issued for an enrolment is another one each time. */
function credentialOf({ credential, name, certificate }: Caller): string {
  return credential === "of one enrolment" ? name : Buffer.from(certificate).toString("hex");
}

async function reportBmc(
  { store, metrics, limits }: EnrolmentOptions,
  session: Session,
  { found }: ReportBmcRequest,
  context: CallContext,
): Promise<BmcRow> {
  switch (found?.$case) {
    case undefined:
      throw invalid("found", "give bmc or no_bmc");
    case "bmc": {
      const facts = requireFacts("bmc", found.value);
      const { mac } = facts;
      context.note({ mac });
      const { caller, from } = context;
      if (mac !== "") await limits.report(session.id, mac, await store.knowsBmc(mac), credentialOf(caller), from);
      const row = await store.reportBmc(session, facts, new Date());
      metrics.enrolment("reported");
      return row;
    }
    case "noBmc": {
      const row = await store.reportNoBmc(session, found.value, new Date());
      metrics.enrolment("no_bmc");
      return row;
    }
    default:
      return found satisfies never;
  }
}

async function escrow(
  { store, metrics, policy, handOffs }: EnrolmentOptions,
  session: Session,
  request: EscrowAccountRequest,
  context: CallContext,
): Promise<string> {
  const mac = requireMac("mac", request.mac);
  context.note({ mac });
  const userName = requireAscii("user_name", request.userName, 16);
  requireAscii("password", request.password, 20);
  const slot = requireRange("slot", request.slot, 1, 63);
  const { bmcKey } = session;
  if (bmcKey === undefined) throw new MissingStepError("no BMC was reported by this session: call ReportBmc first");
  if (handOffs.isSettling(session.id)) {
    const text = `BMC ${mac} is reported at another place than the one that was proved, and a login there is under way: try again`;
    throw new RpcError(status.UNAVAILABLE, text);
  }
  // The row of a proved BMC goes by its former MAC address until a remote login has found the new one too.
  const { row } = (await store.bmc(bmcKey)) ?? {};
  if (bmcKey !== mac && row?.reportedFacts?.mac !== mac) {
    throw invalid("mac", `${mac} is not what this session reported (${bmcKey})`);
  }
  if (!userName.startsWith(policy.userNamePrefix)) {
    const known = (await store.accounts(bmcKey)).some(
      (account) => account.userName === userName && account.givenBy === "",
    );
    if (!known) {
      const text = `user_name: the policy wants names that begin with "${policy.userNamePrefix}"`;
      throw new RpcError(status.PERMISSION_DENIED, text);
    }
  }
  requireStrong("password", request.password);
  const password = Secret.fromBytes(request.password);
  try {
    const id = await store.escrowAccount(session, { userName, password, slot }, new Date()).catch((error: unknown) => {
      // A login settles which of them is live, and makes room.
      if (error instanceof TooManyAccountsError)
        handOffs.settle(bmcKey, networkOf(context.from)).catch(() => undefined);
      throw error;
    });
    metrics.enrolment("escrowed");
    return id;
  } finally {
    password.wipe();
  }
}

/** The BMC to hand off: what the session has reported, else what its machine is known to have. */
async function handOffKey(store: Store, session: Session): Promise<string> {
  const record =
    session.bmcKey === undefined ? await store.bmcOfMachine(session.machineKey) : await store.bmc(session.bmcKey);
  if (record === undefined) throw new MissingStepError("no BMC was reported by this session: call ReportBmc first");
  const { row } = record;
  if (row.mac === "")
    throw new MissingStepError(`machine ${session.machineUuid} has no BMC: there is nothing to hand off`);
  if (row.machineKey !== session.machineKey) {
    throw new MissingStepError(`BMC ${row.mac} belongs to machine ${row.machineKey ?? "(none)"} now: begin again`);
  }
  return row.key;
}
