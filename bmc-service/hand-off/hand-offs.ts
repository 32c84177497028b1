import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { Span } from "../../outband-client/lan/index.ts";
import { AccountState, BmcFacts } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import {
  InbandProof,
  PasswordForm,
  type WatchHandOffResponse,
} from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { NotReadyError } from "../drivers/driver-list.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import type { Metrics } from "../metrics.ts";
import { type AddressMap, reachableAt } from "../reach/bmc-address.ts";
import { BmcLocks, orAborted } from "../reach/bmc-locks.ts";
import { type ConnectBmc, loginLevels } from "../reach/connect-bmc.ts";
import { StoppingError } from "../stopping-error.ts";
import { type AccountRow, type BmcRow, MissingStepError, NoSuchRowError, type Store } from "../store/store.ts";
import type { Liveness } from "../tokens/liveness.ts";
import { EventLog } from "./event-log.ts";
import { GuardedLogins } from "./guarded-logins.ts";
import { attackOfBmc, failureName, HandOffError } from "./hand-off-error.ts";
import { LoginQueue } from "./login-queue.ts";
import { type By, isMoved, type Travel, takeOverProved, visitElsewhere } from "./places.ts";
import type { HandOffEvent } from "./prove.ts";
import { type RotationWorld, rotatePassword } from "./rotate.ts";
import {
  type HandOffLimits,
  type Login,
  lastEvent,
  requireEndpoint,
  type TakeOver,
  takeOver,
  withoutFill,
} from "./take-over.ts";

export interface HandOffsOptions {
  readonly store: Store;
  readonly connect: ConnectBmc;
  readonly addresses: AddressMap;
  readonly locks: BmcLocks;
  readonly limits: HandOffLimits;
  /** Remote logins at once. */
  readonly mostLogins: number;
  readonly privilege: 3 | 4;
  /** Which enrolments are under way. */
  readonly liveness: Pick<Liveness, "heardMs">;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Of so many BMCs it is remembered what they refused. */
const mostRemembered = 10_000;

/** How long a call of an agent waits for a hand-off that it does not follow, ms: less than agents wait for an answer. */
const settleWaitMs = 5_000;

/** Of a BMC that was never reported. */
const noFacts = BmcFacts.fromPartial({});

/** One hand-off, from when it was asked for. */
interface HandOff {
  readonly events: EventLog<WatchHandOffResponse>;
  readonly done: Promise<void>;
  /** Id of the newest account that it knows; undefined while it waits: it looks when it begins. */
  newest?: string;
}

/** How long a stop waits for those who follow what has ended, ms. */
const lastWordsMs = 1_000;

/** All hand-offs that run. One goes on when nobody follows it any more: its result is for the row. */
export class HandOffs {
  readonly #options: HandOffsOptions;
  readonly #queue: LoginQueue;
  /** By key, at most two: one that runs, and one that waits for it. */
  readonly #handOffs = new Map<string, readonly HandOff[]>();
  /** Whoever waits for a BMC that is being logged in to holds no place in the queue meanwhile. */
  readonly #turns = new BmcLocks();
  /** Remote logins that run or wait for something. */
  #asked = 0;
  readonly #rotating = new Set<Promise<unknown>>();
  /** Those who follow hand-offs, until they have heard and done all. */
  readonly #following = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #guard: GuardedLogins;
  /** Of BMCs that refused every login that was tried: those logins, by key. The one that was noted last is the last. */
  readonly #refused = new Map<string, ReadonlySet<string>>();
  /** Enrolments that have reported a proved BMC at another place, until a login there has come to its end; by session. */
  readonly #settling = new Map<string, Promise<void>>();
  /** What agents that follow a hand-off have written to their BMCs, by key. */
  readonly #nonces = new Map<string, string>();

  constructor(options: HandOffsOptions) {
    this.#options = options;
    this.#queue = new LoginQueue(options.mostLogins);
    this.#guard = new GuardedLogins(options);
    options.metrics.observeQueue(
      () => this.#queue.running,
      () => this.#asked - this.#queue.running,
    );
  }

  /**
   * Starts a hand-off, or joins the one that waits already or runs with the same accounts.
   * @param key of a row with a BMC
   * @param lane of the caller in the queue
   * @param nonce what the agent has written to the BMC, and leaves there until the stream ends
   */
  async *watch(
    key: string,
    lane: string,
    signal: AbortSignal,
    nonce?: string,
  ): AsyncGenerator<WatchHandOffResponse, void, undefined> {
    const [newest] = await this.#options.store.accounts(key);
    if (nonce === undefined) this.#nonces.delete(key);
    else this.#nonces.set(key, nonce);
    const { events } = this.#join(key, newest, lane);
    const followed = Promise.withResolvers<void>();
    this.#following.add(followed.promise);
    try {
      yield* events.follow(signal);
    } finally {
      this.#following.delete(followed.promise);
      followed.resolve();
      if (this.#nonces.get(key) === nonce) this.#nonces.delete(key);
    }
  }

  #join(key: string, newest: AccountRow | undefined, lane: string): HandOff {
    const last = this.#handOffs.get(key)?.at(-1);
    const isSame = last !== undefined && (last.newest === undefined || last.newest === (newest?.id ?? ""));
    return isSame ? last : this.#start(key, lane);
  }

  /**
   * If an agent reports a proved BMC at another place, has it logged in to there before its machine gives it a new account: the one
   * that was proved is what proves the place. Waits for that, but not for long; the hand-off goes on.
   * @param lane of the caller in the queue
   */
  async settleMoved(row: BmcRow, sessionId: string, lane: string): Promise<void> {
    if (row.reportedFacts === undefined) return;
    const { store, addresses, limits } = this.#options;
    if (!isMoved(row, await store.accounts(row.key), addresses)) return;
    const settled = this.settle(row.key, lane, limits.totalMs).finally(() => {
      if (this.#settling.get(sessionId) === settled) this.#settling.delete(sessionId);
    });
    this.#settling.set(sessionId, settled);
    using span = new Span(settleWaitMs);
    await orAborted(settled, span.signal).catch(() => undefined);
  }

  /** Whether the login of settleMoved is still waited for: until its end, or for as long as a hand-off may take. */
  isSettling(sessionId: string): boolean {
    return this.#settling.has(sessionId);
  }

  /** Has a hand-off run that nobody follows. Waits for its end, however it ends, but not for long. */
  async settle(key: string, lane: string, waitMs = settleWaitMs): Promise<void> {
    const [newest] = await this.#options.store.accounts(key);
    const { done } = this.#join(key, newest, lane);
    using span = new Span(waitMs);
    await orAborted(done, span.signal).catch(() => undefined);
  }

  /**
   * Logs in with an account that an operator gave and proves it as a hand-off does: MAC, GUID and privilege. Only then is it
   * stored, as the account in use; before that, and if it is refused, everything stays as it was.
   * @param address where the operator says that the BMC is; undefined: where it says itself
   * @param actor the operator's name
   * @param gone aborted when the caller does not wait any more
   * @returns the key of the row from now on: a BMC that tells no MAC address in-band gets the one that was read from remote
   * @throws HandOffError, NoSuchRowError, NotReadyError, ClaimConflictError, StoppingError or the reason of `gone`
   */
  async adopt(
    key: string,
    login: Login,
    address: Endpoint | undefined,
    actor: string,
    gone: AbortSignal,
  ): Promise<string> {
    const { store } = this.#options;
    const signal = AbortSignal.any([gone, this.#stopping.signal]);
    const unheard = () => undefined;
    return await this.#alone(key, laneOf(actor), signal, async () => {
      const { row: stored } = (await store.bmc(key)) ?? {};
      if (stored === undefined) throw new NoSuchRowError(`there is no BMC ${key}`);
      const givenAddress = address === undefined ? stored.givenAddress : formatEndpoint(address);
      const row = { ...stored, givenAddress };
      if (row.mac === "" && address === undefined) {
        throw new NotReadyError(`the BMC of machine ${key} told no MAC address: say where it is (--address)`);
      }
      const considered = (await store.accounts(key)).map(({ id }) => id);
      const by = {
        accounts: [givenAccount(key, login, actor)],
        remedy: "Nothing was changed; check name and password at the BMC itself",
      };
      const { outcome, failure } =
        address === undefined
          ? await this.#takeOverProved(row, by, unheard, signal)
          : await this.#takeOver(row, row.facts ?? noFacts, by, unheard, signal);
      signal.throwIfAborted();
      if (failure !== undefined) throw failure;
      const given = { ...login, address: address && formatEndpoint(address) };
      return await store.adoptAccount(key, given, outcome, considered, actor, new Date());
    });
  }

  /**
   * Gives the account in use a new password from remote; see rotatePassword. What has begun goes on when the caller has gone.
   * @param actor the operator's name
   * @returns what was done, for the history
   */
  async rotate(key: string, actor: string, gone: AbortSignal): Promise<string> {
    const { signal: stopping } = this.#stopping;
    const signal = AbortSignal.any([gone, stopping]);
    const work = this.#alone(key, laneOf(actor), signal, () =>
      rotatePassword(this.#rotationWorld(), key, actor, gone, stopping),
    );
    this.#rotating.add(work);
    try {
      const done = await work;
      this.#refused.delete(key);
      return done;
    } finally {
      this.#rotating.delete(work);
    }
  }

  #rotationWorld(): RotationWorld {
    const { store, limits, connect, addresses, privilege, liveness } = this.#options;
    const remedy = "Boot the machine: it makes a new account";
    return {
      store,
      limits,
      takeOver: (row, accounts, signal) => {
        const refusedBefore = this.#refused.get(row.key) ?? new Set<string>();
        return this.#takeOverProved(row, { accounts, remedy, refusedBefore }, () => undefined, signal);
      },
      login: async (row, account, signal) => {
        const password = withoutFill(account.password.reveal());
        try {
          const endpoint = requireEndpoint(row.mac, reachableAt(row, addresses));
          const login = { mac: row.mac, user: account.userName, password, privilege: loginLevels[privilege], signal };
          return await connect({ ...endpoint, ...login });
        } finally {
          password.fill(0);
        }
      },
      isUnderWay: ({ sessionId, state, createdAt }) =>
        (state === AccountState.ACCOUNT_STATE_ESCROWED || state === AccountState.ACCOUNT_STATE_CONFIRMED) &&
        sessionId !== "" &&
        liveness.heardMs(sessionId, createdAt) !== undefined,
    };
  }

  /** Finds out which password a rotation has left on the BMC that the end of the service has cut short. */
  async settleInterrupted(): Promise<void> {
    for (const key of await this.#options.store.interruptedRotations()) this.#start(key, "service");
  }

  /** Waits for what runs; after the limit it is ended, and the rows say so. */
  async stop(limitMs: number): Promise<void> {
    const timer = setTimeout(() => this.#stopping.abort(new StoppingError()), limitMs);
    await Promise.allSettled([...[...this.#handOffs.values()].flat().map(({ done }) => done), ...this.#rotating]);
    // Who follows hears how it ended, and that is stored; but nobody is waited for who does not listen.
    await Promise.race([Promise.all(this.#following), sleep(lastWordsMs, undefined, { ref: false })]);
    clearTimeout(timer);
  }

  /** Runs `work` when the BMC is free, from what came before and from drivers, and there is a place in the queue. */
  async #alone<T>(key: string, lane: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { locks } = this.#options;
    const unheard = () => undefined;
    return await this.#inTurn(key, lane, signal, unheard, () => locks.run(key, signal, work));
  }

  /** Runs `work` when what came before for the BMC has ended, and there is a place in the queue; drivers may use the BMC meanwhile. */
  async #inTurn<T>(
    key: string,
    lane: string,
    signal: AbortSignal,
    moved: (ahead: number) => void,
    work: () => Promise<T>,
  ): Promise<T> {
    this.#asked += 1;
    try {
      return await this.#turns.run(key, signal, () => this.#queue.run(lane, signal, moved, work));
    } finally {
      this.#asked -= 1;
    }
  }

  #start(key: string, lane: string): HandOff {
    const events = new EventLog<WatchHandOffResponse>();
    const looked = (newest: string) => {
      handOff.newest = newest;
    };
    const done = this.#run(key, lane, events, looked)
      .then(
        () => events.end(),
        (error: unknown) => {
          if (!(error instanceof StoppingError || error instanceof MissingStepError)) {
            this.#options.log.error({ err: error, mac: key }, "hand-off broke off");
          }
          events.end(error);
        },
      )
      .finally(() => {
        const left = (this.#handOffs.get(key) ?? []).filter((each) => each !== handOff);
        if (left.length > 0) this.#handOffs.set(key, left);
        else this.#handOffs.delete(key);
      });
    const handOff: HandOff = { events, done };
    this.#handOffs.set(key, [...(this.#handOffs.get(key) ?? []), handOff]);
    return handOff;
  }

  /** @param looked told the id of the newest account, when the accounts are read; empty if there is none */
  async #run(
    key: string,
    lane: string,
    events: EventLog<WatchHandOffResponse>,
    looked: (newest: string) => void,
  ): Promise<void> {
    const { store, locks, metrics, log } = this.#options;
    const { signal } = this.#stopping;
    const emit = (event: NonNullable<WatchHandOffResponse["event"]>) => events.append({ at: new Date(), event });
    const queued = (ahead: number) => events.pass({ at: new Date(), event: { $case: "queued", value: { ahead } } });
    await this.#inTurn(key, lane, signal, queued, async () => {
      const started = performance.now();
      const { row } = (await store.bmc(key)) ?? {};
      if (row?.facts === undefined) {
        this.#refused.delete(key);
        throw new MissingStepError(`the row ${key} was deleted meanwhile: begin again`);
      }
      const accounts = await store.accounts(key);
      looked(accounts[0]?.id ?? "");
      const remedy = "Boot the machine again to make a new one";
      const by = { accounts, remedy, refusedBefore: this.#refused.get(key) ?? new Set<string>() };
      const travel = await this.#travel(row, emit, signal);
      const elsewhere = await visitElsewhere(travel, row, by);
      const ended = await locks.run(key, signal, async () => {
        const result = await takeOverProved(travel, row, by, elsewhere);
        // What the end of the service has cut short says nothing about the BMC.
        if (result.failure !== undefined && signal.aborted) throw new StoppingError();
        this.#remember(key, result.refusedBefore);
        await store.settleHandOff(key, result.outcome, new Date());
        return result;
      });
      const { failure } = ended;
      // Not before its result is on the disk: who has seen it finds the row settled.
      emit(lastEvent(ended));
      const durationMs = performance.now() - started;
      const result = failure === undefined ? "handed_off" : failureName(failure.kind);
      metrics.handOff(result, durationMs);
      const entry = { mac: key, machine: row.machineUuid, result, durationMs: Math.round(durationMs) };
      if (failure === undefined) return log.info(entry, "handed off");
      const attack = attackOfBmc(failure);
      if (attack !== undefined) metrics.attack(attack);
      log.warn({ ...entry, reason: failure.message, attack }, "hand-off failed");
    });
  }

  /** Rows are deleted, forgotten and renamed: what was noted first goes. */
  #remember(key: string, refused: ReadonlySet<string>): void {
    this.#refused.delete(key);
    if (refused.size > 0) this.#refused.set(key, refused);
    const [first] = this.#refused.keys();
    if (first !== undefined && this.#refused.size > mostRemembered) this.#refused.delete(first);
  }

  /** See takeOverProved in places.ts. */
  async #takeOverProved(
    row: BmcRow,
    by: By,
    emit: (event: HandOffEvent) => void,
    signal: AbortSignal,
  ): Promise<TakeOver> {
    return takeOverProved(await this.#travel(row, emit, signal), row, by);
  }

  async #travel(row: BmcRow, emit: (event: HandOffEvent) => void, signal: AbortSignal): Promise<Travel> {
    const { addresses, store } = this.#options;
    const vouched = await store.vouchedAccounts(row.key);
    const goTo = async (moved: BmcRow, facts: BmcFacts, by: By) => {
      const endpoint = reachableAt(moved, addresses);
      if (endpoint === undefined) return this.#takeOver(moved, facts, by, emit, signal);
      const admitted = await this.#guard.admit(row, endpoint, by.accounts, signal).catch(asHandOffFailure);
      if (admitted instanceof HandOffError) return notTried(admitted, by);
      return this.#takeOver(moved, facts, { ...by, ...admitted }, emit, signal);
    };
    return { addresses, vouched, takeOver: goTo, signal };
  }

  #takeOver(
    row: BmcRow,
    facts: BmcFacts,
    by: By,
    emit: (event: HandOffEvent) => void,
    signal: AbortSignal,
  ): Promise<TakeOver> {
    const { addresses, metrics } = this.#options;
    const { mac, machineUuid = "" } = row;
    const nonce = () => this.#nonces.get(row.key);
    const subject = { mac, facts, machineUuid, nonce, endpoint: reachableAt(row, addresses), ...by };
    return takeOver({ ...this.#options, onLogin: metrics.lanLogin }, subject, emit, signal);
  }
}

/** @throws what is none */
function asHandOffFailure(error: unknown): HandOffError {
  if (error instanceof HandOffError) return error;
  throw error;
}

/** No account was tried, so all are what they were. */
function notTried(failure: HandOffError, { accounts, refusedBefore = new Set() }: By): TakeOver {
  const considered = accounts.map(({ id }) => id);
  const outcome = { kind: "failed", considered, refused: [], reason: failure.message } as const;
  return { outcome, failure, refusedBefore };
}

/** Of an operator in the queue. */
export function laneOf(actor: string): string {
  return `operator ${actor}`;
}

/** What an operator has given, in the form of what an agent makes; it is not stored so. */
function givenAccount(bmcKey: string, { userName, password }: Login, givenBy: string): AccountRow {
  return {
    id: "",
    bmcKey,
    sessionId: "",
    userName,
    password,
    slot: 0,
    channel: 0,
    proof: InbandProof.INBAND_PROOF_UNSPECIFIED,
    givenBy,
    passwordForm: PasswordForm.PASSWORD_FORM_UNSPECIFIED,
    kind: { manufacturerId: 0, productId: 0, firmwareVersion: "" },
    state: AccountState.ACCOUNT_STATE_ESCROWED,
    stateReason: "",
    verifiedAt: undefined,
    createdAt: new Date(),
  };
}
