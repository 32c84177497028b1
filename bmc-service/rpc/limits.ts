import { setTimeout as wait } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { RpcError } from "./rpc-error.ts";
import { TokenBuckets } from "./token-buckets.ts";

/** How much one caller may have and do. */
export interface Limits {
  /** Begins per minute with tokens that open nothing: made up ones of one address, and each one that was made here. */
  readonly wrongTokensPerMinute: number;
  /** Begins per minute, of one machine with one certificate or enrolment token. */
  readonly beginsPerMinute: number;
  /** Sessions whose time is not over. */
  readonly sessions: number;
  /** Connections at once. */
  readonly connections: number;
  /** Of those, from one address: many machines may stand behind one. */
  readonly connectionsPerAddress: number;
  /** How long the request of a call may take to come, and a TLS handshake to be finished, ms. */
  readonly requestMs: number;
}

export const defaultLimits: Limits = {
  wrongTokensPerMinute: 60,
  beginsPerMinute: 30,
  sessions: 100_000,
  connections: 20_000,
  connectionsPerAddress: 5_000,
  requestMs: 20_000,
};

/** How long a number of sessions that was counted holds, ms. */
const countedForMs = 1_000;

/**
 * How long a refusal is held back, ms: whoever floods with one call after the other, instead of waiting as told, takes
 * nobody's time then. A connection has a limited number of calls at once.
 */
const heldBackMs = 1_000;
/** Refusals that are held back at once; further ones are answered at once. */
const mostHeldBack = 10_000;

/** Keeps the limits of Begin, in memory. All methods throw RpcError RESOURCE_EXHAUSTED that says when to try again. */
export class BeginLimits {
  readonly #limits: Limits;
  readonly #countSessions: () => Promise<number>;
  readonly #wrongTokens: TokenBuckets;
  readonly #begins: TokenBuckets;
  #heldBack = 0;
  #counted = { sessions: 0, at: Number.NEGATIVE_INFINITY };

  constructor(limits: Limits, countSessions: () => Promise<number>) {
    this.#limits = limits;
    this.#countSessions = countSessions;
    this.#wrongTokens = new TokenBuckets(limits.wrongTokensPerMinute);
    this.#begins = new TokenBuckets(limits.beginsPerMinute);
  }

  /** @param by address of who has shown it; for a token that is known its hash */
  async wrongToken(by: string): Promise<void> {
    const seconds = this.#wrongTokens.take(by);
    if (seconds > 0) await this.#refuse("too many wrong enrolment tokens", seconds);
  }

  /** @param by with what: a certificate or an enrolment token */
  async begin(machineUuid: string, by: string): Promise<void> {
    const seconds = this.#begins.take(`${machineUuid} ${by}`);
    if (seconds > 0) await this.#refuse(`machine ${machineUuid} begins too often`, seconds);
    const now = performance.now();
    if (now - this.#counted.at > countedForMs) this.#counted = { sessions: await this.#countSessions(), at: now };
    if (this.#counted.sessions >= this.#limits.sessions) {
      await this.#refuse(`there are ${this.#counted.sessions} sessions (--max-sessions)`, 60);
    }
  }

  async #refuse(what: string, seconds: number): Promise<never> {
    if (this.#heldBack < mostHeldBack) {
      this.#heldBack += 1;
      await wait(heldBackMs);
      this.#heldBack -= 1;
    }
    throw new RpcError(status.RESOURCE_EXHAUSTED, `${what}; try again in ${seconds} s`, { attack: "flood" });
  }
}
