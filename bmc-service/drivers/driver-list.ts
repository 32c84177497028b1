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
}

export interface DriverListOptions {
  readonly drivers: readonly Driver[];
  readonly addresses: AddressMap;
  readonly locks: BmcLocks;
  readonly metrics: Metrics;
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
   * @throws NotReadyError, NoDriverServedError
   */
  async serve<T>(
    { row, account }: BmcRecord,
    action: string,
    ask: (driver: Driver, target: DriverTarget, signal: AbortSignal) => Promise<T>,
    outer: AbortSignal,
  ): Promise<Served<T>> {
    const { drivers, addresses, locks, metrics } = this.#options;
    if (row.mac === "" || row.facts === undefined) throw new NotReadyError(`machine ${row.key} has no BMC to ask`);
    if (account === undefined) throw new NotReadyError(`BMC ${row.mac} has no account yet: its machine has to enrol`);
    const target = { mac: row.mac, endpoint: reachableAt(row.facts, addresses), account };
    const signal = AbortSignal.any([outer, AbortSignal.timeout(driverLimitMs)]);
    const reasons: string[] = [];
    return locks.run(row.key, signal, async () => {
      for (const name of row.drivers) {
        const driver = drivers.find((each) => each.name === name);
        if (driver === undefined) {
          reasons.push(`${name}: this release has no such driver`);
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
          if (error.mayHaveActed) break;
        }
      }
      throw new NoDriverServedError(
        `${action} of BMC ${row.mac}: no driver served. ${reasons.join("; ") || "It has none"}`,
      );
    });
  }
}
