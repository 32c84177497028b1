import { setTimeout as wait } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { CrowdedError } from "../store/crowded-error.ts";
import type { Stored } from "../store/store.ts";
import { type ConnectionLimits, defaultConnectionLimits } from "./connections.ts";
import { networkOf } from "./network-of.ts";
import { ReportedMacs } from "./reported-macs.ts";
import { RpcError } from "./rpc-error.ts";
import { TokenBuckets } from "./token-buckets.ts";

/** How much one caller may have and do. */
export interface Limits extends ConnectionLimits {
  /** Begins per minute with tokens that open nothing, of one address. */
  readonly wrongTokensPerMinute: number;
  /** Begins per minute, of one machine with one certificate or enrolment token. */
  readonly beginsPerMinute: number;
  /** Calls per minute of one session. */
  readonly callsPerMinute: number;
  /** Sessions whose time is not over, also those that were given up. */
  readonly sessions: number;
  /** Of those, from one address. */
  readonly sessionsPerAddress: number;
  /** Machines that are known, and BMCs. */
  readonly machines: number;
  /** Machines that were not known before, and BMCs, per day with one certificate or enrolment token from one address. */
  readonly newMachinesPerDay: number;
  /** How long the request of a call may take to come, and a TLS handshake to be finished, ms. */
  readonly requestMs: number;
}

export const defaultLimits: Limits = {
  wrongTokensPerMinute: 60,
  beginsPerMinute: 30,
  callsPerMinute: 120,
  sessions: 100_000,
  sessionsPerAddress: 25_000,
  machines: 200_000,
  newMachinesPerDay: 20_000,
  ...defaultConnectionLimits,
  requestMs: 20_000,
};

/** MAC addresses that a session may report: a machine has one BMC, which may tell that of another of its channels the next time. */
const macsOfSession = 4;

const minuteMs = 60_000;
const dayMs = 86_400_000;

/** How long what was counted holds, ms. */
const countedForMs = 1_000;

/**
 * How long a refusal is held back, ms: whoever floods with one call after the other, instead of waiting as told, takes
 * nobody's time then. A connection has a limited number of calls at once.
 */
const heldBackMs = 1_000;
/** Refusals that are held back at once; further ones are answered at once. */
const mostHeldBack = 10_000;

/**
 * Keeps the limits of enrolments, in memory. An address is counted with its network, see network-of.ts. What is too much is refused as
 * RESOURCE_EXHAUSTED, with a text that says when to try again.
 */
export class EnrolmentLimits {
  readonly #limits: Limits;
  readonly #countStored: () => Promise<Stored>;
  readonly #wrongTokens: TokenBuckets;
  readonly #begins: TokenBuckets;
  readonly #calls: TokenBuckets;
  readonly #sessions: TokenBuckets;
  readonly #reported = new ReportedMacs(macsOfSession);
  readonly #newMachines: TokenBuckets;
  readonly #newBmcs: TokenBuckets;
  #heldBack = 0;
  #counted: Stored & { readonly at: number } = { sessions: 0, machines: 0, bmcs: 0, at: Number.NEGATIVE_INFINITY };

  /** @param sessionMs how long a session lasts */
  constructor(limits: Limits, sessionMs: number, count: () => Promise<Stored>) {
    this.#limits = limits;
    this.#countStored = count;
    this.#wrongTokens = new TokenBuckets(limits.wrongTokensPerMinute, minuteMs);
    this.#begins = new TokenBuckets(limits.beginsPerMinute, minuteMs);
    this.#calls = new TokenBuckets(limits.callsPerMinute, minuteMs);
    this.#sessions = new TokenBuckets(limits.sessionsPerAddress, sessionMs);
    this.#newMachines = new TokenBuckets(limits.newMachinesPerDay, dayMs);
    this.#newBmcs = new TokenBuckets(limits.newMachinesPerDay, dayMs);
  }

  /** @throws RpcError */
  async wrongToken(from: string): Promise<void> {
    const seconds = this.#wrongTokens.take(networkOf(from));
    if (seconds > 0) await this.#refuse("too many wrong enrolment tokens", seconds);
  }

  /**
   * @param by with what: a certificate or an enrolment token
   * @throws RpcError
   */
  async begin(machineUuid: string, by: string, from: string): Promise<void> {
    const seconds = this.#begins.take(`${machineUuid} ${by}`);
    if (seconds > 0) await this.#refuse(`machine ${machineUuid} begins too often`, seconds);
    const there = networkOf(from);
    const fromThere = this.#sessions.take(there);
    if (fromThere > 0) {
      await this.#refuse(`too many enrolments begin from ${there} (--max-sessions-per-address)`, fromThere);
    }
    const { sessions } = await this.#stored();
    if (sessions >= this.#limits.sessions) await this.#refuse(`there are ${sessions} sessions (--max-sessions)`, 60);
    this.#count("sessions");
  }

  /** @throws RpcError */
  async call(sessionId: string): Promise<void> {
    const seconds = this.#calls.take(sessionId);
    if (seconds > 0) await this.#refuse("this session calls too often", seconds);
  }

  /**
   * A machine that was not known. Not held back: see `holdBack`.
   * @throws CrowdedError
   */
  newMachine(by: string, from: string): void {
    this.#takeNew("machines", this.#newMachines, by, from);
  }

  /**
   * A BMC that a session reports.
   * @param isKnown whether there is a row of it
   * @throws RpcError, CrowdedError
   */
  async report(sessionId: string, mac: string, isKnown: boolean, by: string, from: string): Promise<void> {
    if (!this.#reported.admit(sessionId, mac)) {
      const text = `mac: this session has reported ${macsOfSession} other MAC addresses: a machine has one BMC`;
      await this.holdBack();
      throw new RpcError(status.RESOURCE_EXHAUSTED, text, { attack: "flood" });
    }
    if (isKnown) return;
    await this.#stored();
    try {
      this.#takeNew("bmcs", this.#newBmcs, by, from);
    } catch (error) {
      await this.holdBack();
      throw error;
    }
  }

  #takeNew(which: "machines" | "bmcs", buckets: TokenBuckets, by: string, from: string): void {
    const what = which === "bmcs" ? "BMCs" : which;
    if (this.#counted[which] >= this.#limits.machines) {
      throw new CrowdedError(
        `there are ${this.#counted[which]} ${what} already (--max-machines): delete those that are none (bmcctl delete)`,
      );
    }
    const there = networkOf(from);
    const seconds = buckets.take(`${by} ${there}`);
    if (seconds === 0) {
      this.#count(which);
      return;
    }
    const how = `too many new ${what} from ${there} with this certificate or token (--max-new-machines)`;
    throw new CrowdedError(`${how}; try again in ${seconds} s`);
  }

  /** Resolves when a refusal may be told. */
  async holdBack(): Promise<void> {
    if (this.#heldBack >= mostHeldBack) return;
    this.#heldBack += 1;
    await wait(heldBackMs);
    this.#heldBack -= 1;
  }

  /** One more, until all are counted again. */
  #count(which: keyof Stored): void {
    this.#counted = { ...this.#counted, [which]: this.#counted[which] + 1 };
  }

  async #stored(): Promise<Stored> {
    const at = performance.now();
    if (at - this.#counted.at > countedForMs) this.#counted = { ...(await this.#countStored()), at };
    return this.#counted;
  }

  async #refuse(what: string, seconds: number): Promise<never> {
    await this.holdBack();
    throw new RpcError(status.RESOURCE_EXHAUSTED, `${what}; try again in ${seconds} s`, { attack: "flood" });
  }
}
