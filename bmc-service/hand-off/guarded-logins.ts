import pRetry from "p-retry";
import { Span } from "../../outband-client/lan/index.ts";
import { AccountState } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { FailureKind } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import { type AddressMap, reachableAt } from "../reach/bmc-address.ts";
import { type ConnectBmc, loginLevels } from "../reach/connect-bmc.ts";
import { readablePassword } from "../store/account-password.ts";
import { isPlaceProved } from "../store/claim.ts";
import type { AccountRow, BmcRecord, BmcRow, Store } from "../store/store.ts";
import type { Candidate } from "./candidates.ts";
import { asHandOffError, HandOffError } from "./hand-off-error.ts";
import { addressKey, ProvedPlaces } from "./proved-places.ts";
import { RefusedLogins, TooManyRefusedError } from "./refused-logins.ts";
import { type HandOffLimits, type TryLogin, withoutFill } from "./take-over.ts";

/*
 * Whoever may enrol says where their BMC is, and which accounts it has. Said of somebody else's BMC, the service would try wrong
 * passwords there until that BMC locks a user out, or the service. So where a row was not proved to be, few logins may be refused, and
 * none is tried where another machine's BMC answers. Accounts that were proved are no guesses: they may be tried wherever the BMC is
 * said to be.
 */

export interface GuardWorld {
  readonly store: Pick<Store, "bmcs" | "bmc" | "subscribe">;
  readonly addresses: AddressMap;
  readonly connect: ConnectBmc;
  readonly limits: HandOffLimits;
  readonly privilege: 3 | 4;
}

/** What may be tried at one place. */
export interface Admitted {
  readonly accounts: readonly AccountRow[];
  /** Undefined: without limit. */
  readonly tryLogin?: TryLogin;
}

/**
 * An address has one BMC at a time: who was proved there last is asked. One that only says so of itself must not stand in its light, so
 * there is a second one.
 */
const mostAsked = 2;

/** How long the BMC of another machine is waited for, ms. */
const askMs = 20_000;

/** Which logins a hand-off may try where. */
export class GuardedLogins {
  readonly #world: GuardWorld;
  readonly #places: ProvedPlaces;
  readonly #refused = new RefusedLogins();

  constructor(world: GuardWorld) {
    this.#world = world;
    this.#places = new ProvedPlaces(world.store, world.addresses);
  }

  /**
   * @param row as it is stored
   * @param endpoint where to log in to it
   * @param accounts of the row
   * @throws HandOffError if no account of it may be tried there
   */
  async admit(
    row: BmcRow,
    endpoint: Endpoint,
    accounts: readonly AccountRow[],
    signal: AbortSignal,
  ): Promise<Admitted> {
    const own = reachableAt(row, this.#world.addresses);
    const isOwnPlace = own !== undefined && addressKey(own) === addressKey(endpoint) && isPlaceProved(row, accounts);
    const proved = accounts.filter(isNoGuess);
    if (isOwnPlace || proved.length === accounts.length) return { accounts };
    const others = (await this.#places.at(endpoint)).filter((each) => each.row.key !== row.key);
    for (const other of others.toSorted(newestFirst).slice(0, mostAsked)) {
      const taken = await this.#takenBy(other, endpoint, signal);
      if (taken === undefined) continue;
      if (proved.length === 0) throw taken;
      return { accounts: proved };
    }
    const noGuesses = new Set(proved);
    const isFree = ({ passwordOf }: Candidate) => noGuesses.has(passwordOf);
    return { accounts, tryLogin: (candidate, login) => (isFree(candidate) ? login() : this.#try(endpoint, login)) };
  }

  async #try<T>(endpoint: Endpoint, login: () => Promise<T>): Promise<T> {
    const address = addressKey(endpoint);
    const done = await this.#refused.try(address, isRefusal, async () => ({ value: await login() }));
    if (done === undefined) throw new TooManyRefusedError(formatEndpoint(endpoint));
    return done.value;
  }

  /**
   * Asks the BMC itself whether it is the one that was proved there: addresses are given to others.
   * @returns why not to try anything; undefined: it is another one now
   * @throws HandOffError if that could not be found out
   */
  async #takenBy(
    { row, account }: BmcRecord,
    endpoint: Endpoint,
    signal: AbortSignal,
  ): Promise<HandOffError | undefined> {
    const address = formatEndpoint(endpoint);
    const taken = new HandOffError(
      FailureKind.FAILURE_KIND_OTHER_BMC,
      `${address}: BMC ${row.mac} of machine ${row.machineUuid} is at that address, and no account of another machine is tried there. ` +
        `Check the addresses of both BMCs; if that machine is gone, delete its row (bmcctl delete ${row.mac})`,
    );
    if (account === undefined || readablePassword(account) === undefined) return taken;
    const { connect, limits, privilege } = this.#world;
    const ask = async () => {
      const password = withoutFill(account.password.reveal());
      try {
        using limit = new Span(askMs, signal);
        const login = {
          mac: row.mac,
          user: account.userName,
          password,
          privilege: loginLevels[privilege],
          signal: limit.signal,
        };
        return await this.#try(endpoint, () => connect({ ...endpoint, ...login }));
      } finally {
        password.fill(0);
      }
    };
    try {
      const { retries, firstWaitMs: minTimeout } = limits;
      const session = await pRetry(ask, {
        ...{ retries, minTimeout, factor: 2, randomize: true, signal },
        shouldRetry: ({ error }) => isUnanswered(error),
      });
      await session[Symbol.asyncDispose]();
      return taken;
    } catch (error) {
      if (isRefusal(error)) return undefined;
      const failure = asHandOffError(error);
      if (failure === undefined && !(error instanceof DOMException)) throw error;
      const reason = (error as Error).message;
      throw new HandOffError(
        FailureKind.FAILURE_KIND_UNREACHABLE,
        `${address}: BMC ${row.mac} of machine ${row.machineUuid} was proved there, and whether it is there still could not be found ` +
          `out: ${reason}. Run again`,
        { cause: error },
      );
    }
  }
}

/** Proved before, or given or made by an operator; a token does not make a guess a proof. */
function isNoGuess({ state, sessionId }: AccountRow): boolean {
  return state === AccountState.ACCOUNT_STATE_VERIFIED || sessionId === "";
}

function newestFirst(a: BmcRecord, b: BmcRecord): number {
  return (b.account?.verifiedAt?.getTime() ?? 0) - (a.account?.verifiedAt?.getTime() ?? 0);
}

function isRefusal(error: unknown): boolean {
  return asHandOffError(error)?.kind === FailureKind.FAILURE_KIND_LOGIN_REFUSED;
}

function isUnanswered(error: unknown): boolean {
  const isHeldBack = error instanceof TooManyRefusedError;
  return !isHeldBack && asHandOffError(error)?.kind === FailureKind.FAILURE_KIND_UNREACHABLE;
}
