import { readFile, stat } from "node:fs/promises";
import { systemReason } from "../config-error.ts";
import { type Lease, readLeases } from "./leases.ts";

/** A lease file cannot be read: nobody knows who has a lease. */
export class LeaseFileError extends Error {
  override readonly name = "LeaseFileError";
  readonly code = "lease-file";
}

/** More is no lease file: 100,000 leases are some 30 MB. */
const mostBytes = 256 * 1024 * 1024;

/**
 * The leases of a DHCP server, read anew when its file has changed. Kea cleans its file up by putting what it has aside, as
 * FILE.2, FILE.1 and FILE.completed: these are read as well.
 */
export class LeaseFile {
  readonly path: string;
  #read: Promise<{ readonly stamp: string; readonly leases: readonly Lease[] }> | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Those that are not over.
   * @throws LeaseFileError
   */
  async leases(now: Date): Promise<readonly Lease[]> {
    const { leases } = await this.#current();
    return leases.filter(({ endsMs }) => endsMs > now.getTime());
  }

  async #current() {
    const stamp = await this.#stamp();
    const before = await this.#read?.catch(() => undefined);
    if (before?.stamp === stamp) return before;
    this.#read = this.#readAll(stamp);
    return this.#read;
  }

  async #readAll(stamp: string) {
    const texts = [];
    for (const path of this.#paths()) {
      const text = await this.#orMissing(path, () => readFile(path, "latin1"));
      // The file of a server that was just started may be empty.
      if (text !== undefined) texts.push(text);
    }
    const newest = texts.at(-1) ?? "";
    const isKea = texts.some((text) => text.startsWith("address,"));
    // The line of names is the first of each file.
    const text = isKea ? texts.map((each, i) => (i === 0 ? each : each.replace(/^[^\n]*\n?/, ""))).join("") : newest;
    return { stamp, leases: readLeases(text) };
  }

  /** The oldest first. */
  #paths(): string[] {
    return [...[".completed", ".2", ".1"].map((end) => this.path + end), this.path];
  }

  async #stamp(): Promise<string> {
    const stamps = [];
    for (const path of this.#paths()) {
      const found = await this.#orMissing(path, () => stat(path));
      // Whoever reads a pipe or a terminal waits, and a device may never end.
      if (found?.isFile() === false) throw new LeaseFileError(`${path}: it is no regular file`);
      if (found !== undefined && found.size > mostBytes) {
        throw new LeaseFileError(`${path}: ${found.size} bytes are more than a lease file has`);
      }
      stamps.push(found === undefined ? "" : `${found.ino} ${found.size} ${found.mtimeMs}`);
    }
    return stamps.join("/");
  }

  /** Undefined where a file that need not be there is missing. */
  async #orMissing<T>(path: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (path !== this.path && (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw new LeaseFileError(`${path}: ${systemReason(error)}`, { cause: error });
    }
  }
}
