import { State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { Metrics } from "../metrics.ts";
import { type AddressMap, reachableAt } from "../reach/bmc-address.ts";
import type { BmcLocks } from "../reach/bmc-locks.ts";
import type { BmcRecord } from "../store/store.ts";
import { type Driver, DriverError, type DriverTarget } from "./driver.ts";

/** How long one call to a BMC may take, all drivers together and the wait for other sessions included, ms. */
export const driverLimitMs = 90_000;

/** The driver that served, and what it gave. */
export interface Served<T> {
  readonly value: T;
  readonly servedBy: string;
}

/** The BMC cannot be asked yet: no account, or nothing that could be asked. */
export class NotReadyError extends Error {
  override readonly name = "NotReadyError";
  readonly code = "not-ready";
}

/** Every driver failed; the message holds each one's reason. */
export class NoDriverServedError extends Error {
  override readonly name = "NoDriverServedError";
  readonly code = "no-driver-served";
  /** Whether the BMC may have done what it was told: whoever asks again without looking may do it twice. */
  readonly mayHaveActed: boolean;
  /** Whether the BMC let the account in by none of them. */
  readonly refused: boolean;

  constructor(message: string, mayHaveActed: boolean, refused: boolean, options?: ErrorOptions) {
    super(message, options);
    this.mayHaveActed = mayHaveActed;
    this.refused = refused;
  }
}

/** What is asked of a BMC. */
export interface Errand {
  /** For messages and metrics: "power cycle". */
  readonly action: string;
  /** Whether it changes something: once begun it is not ended when the caller goes, for half of it would be worse. */
  readonly acts: boolean;
}

export interface DriverListOptions {
  readonly drivers: readonly Driver[];
  /** The row as it is now: while a call waits for its turn, the BMC may get another password. */
  readonly find: (key: string) => Promise<BmcRecord | undefined>;
  readonly addresses: AddressMap;
  readonly locks: BmcLocks;
  readonly metrics: Metrics;
  /** Default `driverLimitMs`. */
  readonly limitMs?: number;
}

/** The drivers of this release. Each row names those for its BMC, in the order in which they are tried. */
export class DriverList {
  readonly #options: DriverListOptions;

  constructor(options: DriverListOptions) {
    this.#options = options;
  }

  /** Names that a row can hold. */
  get names(): readonly string[] {
    return this.#options.drivers.map(({ name }) => name);
  }

  /**
   * Asks the drivers of a row one after the other, until one serves. None is asked after one that may have acted.
   * @param gone aborted when the caller does not wait any more: what has not begun then is not begun
   * @throws NotReadyError, NoDriverServedError, or the reason of `gone`
   */
  async serve<T>(
    record: BmcRecord,
    { action, acts }: Errand,
    ask: (driver: Driver, target: DriverTarget, signal: AbortSignal) => Promise<T>,
    gone: AbortSignal,
  ): Promise<Served<T>> {
    const { drivers, find, addresses, locks, metrics, limitMs = driverLimitMs } = this.#options;
    const { row } = record;
    if (row.mac === "" || row.facts === undefined) throw new NotReadyError(`machine ${row.key} has no BMC to ask`);
    const { account: before } = record;
    if (before === undefined) {
      const locked = row.state === State.STATE_LOCKED ? row.stateReason : "its machine has to enrol";
      throw new NotReadyError(`BMC ${row.mac} has no account yet: ${locked}`);
    }
    const limit = AbortSignal.timeout(limitMs);
    const signal = acts ? limit : AbortSignal.any([gone, limit]);
    const reasons: string[] = [];
    let mayHaveActed = false;
    let refused = row.drivers.length > 0;
    let began = false;
    const work = async (): Promise<Served<T>> => {
      gone.throwIfAborted();
      const { account = before } = (await find(row.key)) ?? record;
      const target = { mac: row.mac, endpoint: reachableAt(row, addresses), account };
      began = true;
      for (const name of row.drivers) {
        const driver = drivers.find((each) => each.name === name);
        if (driver === undefined) {
          reasons.push(`${name}: this release has no such driver`);
          refused = false;
          continue;
        }
        try {
          const value = await ask(driver, target, signal);
          metrics.driver(name, action, "ok");
          return { value, servedBy: name };
        } catch (error) {
          metrics.driver(name, action, "failed");
          if (!(error instanceof DriverError)) throw error;
          reasons.push(`${name}: ${error.message}`);
          refused &&= error.refused;
          mayHaveActed = error.mayHaveActed;
          if (mayHaveActed) break;
        }
      }
      const why = reasons.join("; ") || "It has none";
      throw new NoDriverServedError(`${action} of BMC ${row.mac}: no driver served. ${why}`, mayHaveActed, refused);
    };
    try {
      return await locks.run(row.key, AbortSignal.any([gone, limit]), work);
    } catch (error) {
      if (began || error !== limit.reason) throw error;
      const text = `not begun: another session with it has not ended within ${limitMs / 1_000} s`;
      throw new NoDriverServedError(`${action} of BMC ${row.mac}: ${text}`, false, false, { cause: error });
    }
  }
}
