import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Database } from "../../bmc-service/store/database.ts";
import { SecretBox } from "../../bmc-service/store/secret-box.ts";
import type { AccountRow, BmcRow } from "../../bmc-service/store/store.ts";
import { Tables } from "../../bmc-service/store/tables.ts";
import type { ServiceProcess } from "./service-process.ts";

/** What a service has on its disk, read beside it: also while it is dead. */
export class ServiceDisk implements Disposable {
  readonly #database: Database;
  readonly #tables: Tables;

  /** @param service has been started once */
  constructor({ data, pki }: Pick<ServiceProcess, "data" | "pki">) {
    this.#database = new Database(join(data, "bmc-service.db"));
    const key = Buffer.from(readFileSync(join(pki, "secret.key"), "utf8"), "base64");
    this.#tables = new Tables(this.#database, new SecretBox(key), 0);
  }

  /** Another number after every change that somebody else made. */
  get version(): number {
    return Number(this.#database.get("PRAGMA data_version")?.data_version);
  }

  /** Newest first. */
  accounts(mac: string): AccountRow[] {
    return this.#tables.accounts(mac);
  }

  row(mac: string): BmcRow | undefined {
    return this.#tables.bmc(mac);
  }

  [Symbol.dispose](): void {
    this.#database[Symbol.dispose]();
  }
}
