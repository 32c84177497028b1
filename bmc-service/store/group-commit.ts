import type { Database } from "./database.ts";
import { StoreError } from "./store-error.ts";

/**
 * Writes that come in the same turn of the event loop share one transaction, and with it one wait for the disk, which under load is
 * most of what a write takes. Each sees those before it and may fail alone. None is acknowledged before all are on the disk.
 */
export class GroupCommit {
  readonly #database: Database;
  #open: PromiseWithResolvers<void> | undefined;
  #problem: StoreError | undefined;

  /** @param database with no other writers on the same connection */
  constructor(database: Database) {
    this.#database = database;
  }

  /** Why the last write was not stored; undefined if it was. */
  get problem(): StoreError | undefined {
    return this.#problem;
  }

  /**
   * Does `work` at once: all of it or nothing. Resolves when it is on the disk.
   * @throws what `work` throws; StoreError if the disk did not take it
   */
  async run<T>(work: () => T): Promise<T> {
    try {
      const value = await this.#run(work);
      this.#problem = undefined;
      return value;
    } catch (error) {
      if (error instanceof StoreError) this.#problem = error;
      throw error;
    }
  }

  async #run<T>(work: () => T): Promise<T> {
    this.#open ??= this.#begin();
    const group = this.#open;
    let outcome: { readonly value: T } | { readonly error: unknown };
    try {
      outcome = { value: this.#database.savepoint(work) };
    } catch (error) {
      outcome = { error };
      // After some failures (disk full) SQLite has taken back the others as well.
      if (!this.#database.isTransaction) this.#end(group, () => Promise.reject(error));
    }
    // Also before a refusal: it may rest on what another one of the group has written.
    await group.promise;
    if ("error" in outcome) throw outcome.error;
    return outcome.value;
  }

  /** Puts what is open on the disk now. Whoever waits for it hears if that fails. */
  flush(): void {
    const group = this.#open;
    if (group === undefined) return;
    this.#end(group, async () => this.#database.commit());
  }

  #begin(): PromiseWithResolvers<void> {
    this.#database.begin();
    const group = Promise.withResolvers<void>();
    // After all requests that have come in by now.
    setImmediate(() => {
      if (this.#open === group) this.flush();
    });
    return group;
  }

  #end(group: PromiseWithResolvers<void>, settle: () => Promise<void>): void {
    this.#open = undefined;
    settle().then(group.resolve, group.reject);
  }
}
