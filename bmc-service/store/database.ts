import { backup, DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { type DatabaseRole, ownDatabase } from "./database-role.ts";
import { StoreError, type StoreProblem } from "./store-error.ts";

/** One row as SQLite gives it. */
export type SqlRow = Readonly<Record<string, SQLOutputValue>>;

/** How long a statement waits for another process, ms. */
const defaultLockTimeoutMs = 5_000;

/** Pages that a copy takes before it tells how far it is. */
const pagesAtOnce = 100;

/** An SQLite file: statements are prepared once, errors are StoreErrors naming the file. */
export class Database implements Disposable {
  readonly path: string;
  /** How errors call it. */
  readonly role: DatabaseRole;
  readonly #connection: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /**
   * Opens or makes the file.
   * @throws StoreError
   */
  constructor(path: string, lockTimeoutMs = defaultLockTimeoutMs, role = ownDatabase(path)) {
    this.path = path;
    this.role = role;
    this.#connection = this.#guarded(() => new DatabaseSync(path, { timeout: lockTimeoutMs }));
    try {
      // FULL: what was acknowledged survives a loss of power (an account in escrow must).
      // secure_delete: what was deleted or sealed anew is overwritten, not left in a free part of the file.
      this.execute("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;");
    } catch (error) {
      this.#connection.close();
      throw error;
    }
  }

  /** Readers and the writer do not wait for each other from now on. Writes to the file if it was not so before. */
  useWriteAheadLog(): void {
    this.execute("PRAGMA journal_mode = WAL");
  }

  /** Whatever writes by this connection from now on fails. */
  forbidWrites(): void {
    this.execute("PRAGMA query_only = ON");
  }

  get(sql: string, ...values: SQLInputValue[]): SqlRow | undefined {
    return this.#guarded(() => this.#prepare(sql).get(...values));
  }

  all(sql: string, ...values: SQLInputValue[]): SqlRow[] {
    return this.#guarded(() => this.#prepare(sql).all(...values));
  }

  /** The number of rows that were changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return this.#guarded(() => Number(this.#prepare(sql).run(...values).changes));
  }

  /** Several statements, without values. */
  execute(sql: string): void {
    this.#guarded(() => this.#connection.exec(sql));
  }

  /** All of `work` or nothing; on the disk when it returns. */
  transaction<T>(work: () => T): T {
    this.begin();
    let result: T;
    try {
      result = work();
    } catch (error) {
      this.#rollBack();
      throw error;
    }
    this.commit();
    return result;
  }

  /** Opens a transaction; there is one at a time. */
  begin(): void {
    this.run("BEGIN IMMEDIATE");
  }

  /** Ends the transaction: what it wrote is on the disk when this returns, or nothing of it is if this throws. */
  commit(): void {
    try {
      this.run("COMMIT");
    } catch (error) {
      this.#rollBack();
      throw error;
    }
  }

  /** Inside a transaction: all of `work` or nothing, and the rest of the transaction stays either way if `isTransaction`. */
  savepoint<T>(work: () => T): T {
    this.run("SAVEPOINT member");
    try {
      const result = work();
      this.run("RELEASE member");
      return result;
    } catch (error) {
      if (this.isTransaction) {
        this.run("ROLLBACK TO member");
        this.run("RELEASE member");
      }
      throw error;
    }
  }

  /** Whether one is open. After some failures (disk full) SQLite has rolled back by itself. */
  get isTransaction(): boolean {
    return this.#connection.isTransaction;
  }

  /**
   * Copies all that is committed now into an empty file, while others go on writing.
   * @param progress gets the share that is done, 0 to 1
   * @param role of the copy
   * @throws StoreError
   */
  async copyTo(path: string, progress: (share: number) => void, role = ownDatabase(path)): Promise<void> {
    // An open reading transaction holds on to what the copy sees. Without it, SQLite begins the copy anew after each
    // write of another process, and does not end under load.
    this.execute("BEGIN");
    try {
      this.get("SELECT count(*) FROM sqlite_schema");
      await backup(this.#connection, path, {
        rate: pagesAtOnce,
        progress: ({ totalPages, remainingPages }) => progress(1 - remainingPages / Math.max(totalPages, 1)),
      });
    } catch (error) {
      throw asStoreError(error, role);
    } finally {
      this.execute("ROLLBACK");
    }
  }

  [Symbol.dispose](): void {
    this.#statements.clear();
    if (this.#connection.isOpen) this.#connection.close();
  }

  #rollBack(): void {
    if (this.isTransaction) this.execute("ROLLBACK");
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#connection.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw asStoreError(error, this.role);
    }
  }
}

/** What SQLite says, in words for a person; any other error stays what it is. */
function asStoreError(error: unknown, role: DatabaseRole): unknown {
  if (!(error instanceof Error) || !("errcode" in error)) return error;
  const [problem, text] = explain(Number(error.errcode), role);
  const what = problem === "corrupt" ? role.content : role.place;
  return new StoreError(problem, `${what}: ${text} (SQLite: ${error.message})`, { cause: error });
}

/** Primary result codes, https://sqlite.org/rescode.html; extended ones have them in their low byte. */
function explain(code: number, { ifDamaged }: DatabaseRole): [StoreProblem, string] {
  switch (code & 0xff) {
    case 5:
    case 6:
      return ["locked", `another process keeps it locked; find and end it`];
    case 8:
      return ["unwritable", "it is read-only; check owner and mode of the file and its directory"];
    case 10:
      return ["unwritable", "the disk answers with errors, or is full"];
    case 11:
    case 26:
      return ["corrupt", `it is damaged or no SQLite database; ${ifDamaged}`];
    case 13:
      return ["unwritable", "the disk is full; nothing of this was stored, make room and try again"];
    case 14:
      return ["unwritable", "it cannot be opened; check owner and mode of the file and its directory"];
    default:
      return ["failed", "a statement failed"];
  }
}
