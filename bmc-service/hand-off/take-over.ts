import pRetry from "p-retry";
import { macAddress, readLanParameter } from "../../ipmi/lan-parameters.ts";
import type { Secret } from "../../ipmi/secret.ts";
import { SessionError, Span } from "../../outband-client/lan/index.ts";
import type { BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import { type BmcSession, type ConnectBmc, loginLevels } from "../reach/connect-bmc.ts";
import { AddressRefusedError } from "../reach/judged-connect.ts";
import type { AccountRow, FoundLan, HandOffOutcome, HandOffSuccess } from "../store/store.ts";
import { type Candidate, candidates, refusedByNow } from "./candidates.ts";
import { findLan } from "./find-lan.ts";
import { asHandOffError, HandOffError } from "./hand-off-error.ts";
import { type HandOffEvent, prove } from "./prove.ts";
import { TooManyRefusedError } from "./refused-logins.ts";

/** How long a hand-off waits, ms. */
export interface HandOffLimits {
  /** For all of it, retries included, from when its turn has come. */
  readonly totalMs: number;
  /** Tries after the first one, if the BMC does not answer: some are deaf for seconds after a change of users. */
  readonly retries: number;
  /** Before the first retry; doubled for each further one, with jitter. */
  readonly firstWaitMs: number;
}

export const defaultHandOffLimits: HandOffLimits = { totalMs: 120_000, retries: 4, firstWaitMs: 1_000 };

/** A user name with its password. */
export interface Login {
  readonly userName: string;
  readonly password: Secret;
}

/** Does a login, or throws TooManyRefusedError without it. */
export type TryLogin = <T>(candidate: Candidate, login: () => Promise<T>) => Promise<T>;

/** Whom to log in to. */
export interface Subject {
  /** MAC address by which the BMC is known and mapped; where it has moved, `facts` can have another one. */
  readonly mac: string;
  readonly facts: BmcFacts;
  readonly machineUuid: string;
  readonly endpoint: Endpoint | undefined;
  /** Newest first. */
  readonly accounts: readonly AccountRow[];
  /** Logins that hand-offs before this one tried in vain, see `candidates`. */
  readonly refusedBefore?: ReadonlySet<string>;
  /** Another LAN channel by which the BMC was known before: it must have that too. */
  readonly knownBy?: FoundLan | undefined;
  /** Undefined: each login may be tried. */
  readonly tryLogin?: TryLogin | undefined;
  /** See `Expected`. */
  readonly nonce?: (() => string | undefined) | undefined;
  /** What to do if the BMC refuses them all, one sentence. */
  readonly remedy: string;
}

export interface TakeOverWorld {
  readonly connect: ConnectBmc;
  readonly limits: HandOffLimits;
  /** IPMI 2.0 table 6-1. */
  readonly privilege: 3 | 4;
  /** One login, "ok" or the status of its SessionError. */
  readonly onLogin: (result: string) => void;
}

/**
 * How a hand-off ended; the kind of a failure is for who asked. Who asked with an account that does not do fails also where another
 * one holds what was proved.
 */
export type TakeOver = (
  | { readonly outcome: HandOffSuccess; readonly failure: undefined }
  | { readonly outcome: HandOffOutcome; readonly failure: HandOffError }
) & {
  /** What the next hand-off tries last. */
  readonly refusedBefore: ReadonlySet<string>;
};

/** The last event of a hand-off. */
export function lastEvent({ failure }: TakeOver): HandOffEvent {
  if (failure === undefined) return { $case: "handedOff", value: { driver: "IPMI" } };
  return { $case: "failed", value: { kind: failure.kind, reason: failure.message } };
}

/**
 * Logs in to a BMC with the newest account that it accepts and proves that it is the machine's own.
 * Nothing on the BMC is changed. A failure is a value; only bugs are thrown.
 */
export async function takeOver(
  world: TakeOverWorld,
  subject: Subject,
  emit: (event: HandOffEvent) => void,
  signal: AbortSignal,
): Promise<TakeOver> {
  const refused = new Set<Candidate>();
  using span = new Span(world.limits.totalMs, signal);
  const limit = span.signal;
  const considered = subject.accounts.map(({ id }) => id);
  const refusedIds = () => [...refused].filter(isWhole).map(({ nameOf }) => nameOf.id);
  try {
    const reached = await pRetry(() => attempt(world, subject, refused, emit, limit), {
      retries: world.limits.retries,
      minTimeout: world.limits.firstWaitMs,
      factor: 2,
      randomize: true,
      signal: limit,
      shouldRetry: ({ error }) =>
        asHandOffError(error)?.kind === FailureKind.FAILURE_KIND_UNREACHABLE &&
        !(error instanceof AddressRefusedError || error instanceof TooManyRefusedError),
    });
    const outcome = { kind: "handed off", considered, refused: refusedIds(), ...reached } as const;
    return { outcome, failure: undefined, refusedBefore: new Set() };
  } catch (error) {
    const failure = limit.aborted ? endedBy(signal, world.limits.totalMs, error) : asHandOffError(error);
    if (failure === undefined) throw error;
    const outcome = { kind: "failed", considered, refused: refusedIds(), reason: failure.message } as const;
    return {
      outcome,
      failure,
      refusedBefore: refusedByNow(subject.accounts, subject.refusedBefore ?? new Set(), refused),
    };
  }
}

async function attempt(
  world: TakeOverWorld,
  subject: Subject,
  refused: Set<Candidate>,
  emit: (event: HandOffEvent) => void,
  signal: AbortSignal,
) {
  const { facts, machineUuid, nonce } = subject;
  const endpoint = requireEndpoint(facts.mac, subject.endpoint);
  const address = formatEndpoint(endpoint);
  emit({ $case: "connecting", value: { address } });
  const { session, candidate } = await login(world, subject, endpoint, refused, signal);
  try {
    const { nameOf, passwordOf } = candidate;
    const { cipherSuite } = session;
    emit({ $case: "loggedIn", value: { cipherSuite, userName: nameOf.userName } });
    // A BMC that tells no MAC address in-band has the one that it tells here.
    const lan = facts.mac === "" ? await findLan(session, endpoint.host, signal) : facts;
    const reported = { ...facts, mac: lan.mac, channel: lan.channel };
    const expected = { facts: reported, machineUuid, privilege: world.privilege, account: nameOf, nonce };
    if (subject.knownBy !== undefined) await requireChannel(session, subject.knownBy, signal);
    const proof = await prove(session, expected, emit, signal);
    const detail = [
      `logged in at ${address} as "${nameOf.userName}" with cipher suite ${cipherSuite}`,
      ...proof.remarks,
    ];
    return {
      nameOf: nameOf.id,
      passwordOf: passwordOf.id,
      slot: proof.slot,
      lan: { mac: lan.mac, channel: lan.channel },
      remoteGuid: proof.guid,
      chassis: proof.chassis,
      weakLogins: proof.weakLogins,
      device: proof.device,
      detail: detail.join("; "),
    };
  } finally {
    await session[Symbol.asyncDispose]();
  }
}

/** @throws HandOffError if it is not known where the BMC is */
export function requireEndpoint(mac: string, endpoint: Endpoint | undefined): Endpoint {
  if (endpoint !== undefined) return endpoint;
  const reason =
    `BMC ${mac} has no address yet: check DHCP of the management network, map it by --bmc-address, ` +
    "or give it with an account (bmcctl update --address)";
  throw new HandOffError(FailureKind.FAILURE_KIND_UNREACHABLE, reason);
}

/** @throws HandOffError if the BMC has another MAC address there, and the errors of `send` */
async function requireChannel(session: BmcSession, { mac, channel }: FoundLan, signal: AbortSignal): Promise<void> {
  const found = await readLanParameter(session, channel, macAddress, signal);
  if (found === mac) return;
  throw new HandOffError(
    FailureKind.FAILURE_KIND_OTHER_BMC,
    `${session.name}: the BMC there has MAC ${found} on channel ${channel}, where the one that was linked has ${mac}: it is another BMC`,
  );
}

/** The first candidate that the BMC accepts. What it has refused once is not tried again. */
async function login(
  world: TakeOverWorld,
  subject: Subject,
  endpoint: Endpoint,
  refused: Set<Candidate>,
  signal: AbortSignal,
): Promise<{ session: BmcSession; candidate: Candidate }> {
  const all = candidates(subject.accounts, subject.refusedBefore);
  if (all.length === 0) {
    const which = subject.accounts.length === 0 ? "no account" : "no account with a password that it can read";
    const reason = `the service has ${which} for BMC ${subject.facts.mac}: the agent has to make one`;
    throw new HandOffError(FailureKind.FAILURE_KIND_NO_ACCOUNT, reason);
  }
  const isRefused = (candidate: Candidate) =>
    [...refused].some((each) => each.nameOf === candidate.nameOf && each.passwordOf === candidate.passwordOf);
  const { mac, tryLogin = (_, connect) => connect() } = subject;
  let last: HandOffError | undefined;
  let heldBack: TooManyRefusedError | undefined;
  for (const candidate of all.filter((each) => !isRefused(each))) {
    const password = withoutFill(candidate.passwordOf.password.reveal());
    try {
      const user = candidate.nameOf.userName;
      const privilege = loginLevels[world.privilege];
      const connect = () => world.connect({ ...endpoint, mac, user, password, privilege, signal });
      const session = await tryLogin(candidate, connect);
      world.onLogin("ok");
      return { session, candidate };
    } catch (error) {
      if (error instanceof TooManyRefusedError) {
        heldBack = error;
        continue;
      }
      if (error instanceof SessionError) world.onLogin(error.status);
      const failure = asHandOffError(error);
      // It has let the account in as far as that goes, and would answer every other one in the same way.
      if (error instanceof SessionError && error.status === "wrong K_g") {
        const reason = `${error.message}. The service logs in without K_G: clear that key on the BMC`;
        throw new HandOffError(FailureKind.FAILURE_KIND_LOGIN_REFUSED, reason, { cause: error });
      }
      if (failure?.kind !== FailureKind.FAILURE_KIND_LOGIN_REFUSED) throw error;
      refused.add(candidate);
      last = failure;
    } finally {
      password.fill(0);
    }
  }
  if (heldBack !== undefined) throw heldBack;
  const names = [...new Set(all.map(({ nameOf }) => `"${nameOf.userName}"`))].join(", ");
  throw new HandOffError(
    FailureKind.FAILURE_KIND_LOGIN_REFUSED,
    `${formatEndpoint(endpoint)}: the BMC refused every account known for ${subject.facts.mac || "it"} (${names})` +
      `${last === undefined ? "" : `; last: ${last.message}`}. ${subject.remedy}`,
    { cause: last },
  );
}

function isWhole({ nameOf, passwordOf }: Candidate): boolean {
  return nameOf === passwordOf;
}

/** A stored password may be filled with 00h up to its size on the BMC; the fill is not part of the RAKP key. */
export function withoutFill(password: Uint8Array): Uint8Array {
  let end = password.length;
  while (end > 0 && password[end - 1] === 0) end -= 1;
  const bare = password.slice(0, end);
  password.fill(0);
  return bare;
}

function endedBy(signal: AbortSignal, totalMs: number, last: unknown): HandOffError {
  const what = signal.aborted ? "the service is stopping" : `not finished within ${totalMs / 1000} s`;
  const lastText = asHandOffError(last)?.message;
  const reason = `remote login: ${what}${lastText === undefined ? "" : `; last: ${lastText}`}. Run again`;
  return new HandOffError(FailureKind.FAILURE_KIND_UNREACHABLE, reason, { cause: last });
}
