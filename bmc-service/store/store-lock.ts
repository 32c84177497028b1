import { chmodSync, chownSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "./store-error.ts";

/** How long to wait for a service that is just ending, ms. */
const defaultWaitMs = 1_000;

/**
 * Keeps a second service away from a database: two would log in to one BMC at once, and neither would tell its
 * watchers what the other changed. Node has no file locks but those of SQLite, which the kernel ends with the process,
 * however that dies: the file beside the database stays, and says nothing.
 */
export class StoreLock implements Disposable {
  readonly #connection: DatabaseSync;

  /**
   * @param database path of the database; the lock is a file of that name with ".lock" after it
   * @throws StoreError "locked" if another service holds it, "unwritable" if the file cannot be made
   */
  constructor(database: string, waitMs = defaultWaitMs) {
    const path = `${database}.lock`;
    let connection: DatabaseSync | undefined;
    try {
      connection = new DatabaseSync(path, { timeout: waitMs });
      // The journal in memory: a full disk refuses one in a file, and without any SQLite writes to the file at once.
      connection.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
      chmodSync(path, 0o600);
      giveToOwnerOfDirectory(path);
      this.#connection = connection;
    } catch (error) {
      connection?.close();
      const reason = error instanceof Error ? error.message : String(error);
      const isBusy = error instanceof Error && "errcode" in error && (Number(error.errcode) & 0xff) === 5;
      throw isBusy
        ? new StoreError("locked", `database ${database}: another bmc-service works with it; end that one first`, {
            cause: error,
          })
        : new StoreError(
            "unwritable",
            `database ${database}: its lock ${path} cannot be taken; check owner and mode of the directory, and the disk (SQLite: ${reason})`,
            {
              cause: error,
            },
          );
    }
  }

  [Symbol.dispose](): void {
    if (this.#connection.isOpen) this.#connection.close();
  }
}

/** What root has made in the directory of the service's user must not keep that one out. */
function giveToOwnerOfDirectory(path: string): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = statSync(dirname(path));
  chownSync(path, uid, gid);
}
