import type { Report, ReportedAccount } from "../../proto/gen/metalstack/bmc/v1/report.ts";
import { ReportError, readReport, writeReport } from "../../proto/report-json.ts";
import { type MountedStick, type StickMedium, withStick } from "./medium.ts";
import { StickError } from "./stick-error.ts";

/** The folder of the reports on the stick. */
export const reportsFolder = "reports";

/** So many files of one machine that cannot be read are set aside: more would mean that the stick keeps nothing. */
const mostSetAside = 9;

/**
 * The report of one machine on the stick. Whatever dies while it is written, the one before or the new one is there, and no account
 * that stood in it is lost.
 */
export class ReportFile {
  readonly #medium: StickMedium;
  readonly #note: (text: string) => void;
  readonly #machineUuid: string;

  constructor(medium: StickMedium, machineUuid: string, note: (text: string) => void) {
    this.#medium = medium;
    this.#machineUuid = machineUuid;
    this.#note = note;
  }

  /** "reports/UUID.json" */
  get path(): string {
    return `${reportsFolder}/${this.#machineUuid}.json`;
  }

  get #newPath(): string {
    return `${reportsFolder}/${this.#machineUuid}.new`;
  }

  /** What is on the stick; undefined if nothing is that can be read. @throws StickError */
  async read(): Promise<Report | undefined> {
    return await withStick(this.#medium, "read", async (stick) => (await this.#look(stick)).report);
  }

  /**
   * Puts a report in the place of the one that is there, whose accounts stay in it, and reads it back from the medium.
   * @returns all accounts that are on the stick now
   * @throws StickError; ReportError if it got too long: then what was there is there still
   */
  async write(report: Report): Promise<readonly ReportedAccount[]> {
    const { bytes, accounts } = await withStick(this.#medium, "write", (stick) => this.#replace(stick, report));
    const kept = await withStick(this.#medium, "read", (stick) => stick.read(this.path));
    if (kept?.equals(bytes) === true) return accounts;
    const text = `stick: it does not keep what is written to it (${this.path}); take another one`;
    throw new StickError("damaged", text);
  }

  async #replace(stick: MountedStick, report: Report) {
    const before = await this.#look(stick);
    const accounts = withFormer(before.report?.accounts ?? [], report.accounts);
    const bytes = writeReport({ ...report, accounts });
    await stick.makeFolder(reportsFolder);
    if (before.unreadable !== undefined) await this.#setAside(stick, before.unreadable);
    try {
      await stick.write(this.#newPath, bytes);
    } catch (error) {
      // Half a file on a stick that is full: the next one needs the room.
      await stick.remove(this.#newPath).catch(() => undefined);
      throw error;
    }
    await stick.rename(this.#newPath, this.path);
    await stick.syncFolder(reportsFolder);
    return { bytes, accounts };
  }

  /** The file, or what was to take its place if that is whole and the file is not. */
  async #look(stick: MountedStick): Promise<{ report?: Report; unreadable?: string }> {
    const own = await stick.read(this.path);
    const report = own && this.#parsed(own);
    if (report !== undefined) return { report };
    const next = await stick.read(this.#newPath);
    const found = next && this.#parsed(next);
    return {
      ...(found && { report: found }),
      ...(own && { unreadable: this.path }),
    };
  }

  #parsed(bytes: Uint8Array): Report | undefined {
    try {
      const report = readReport(bytes);
      return report.machine?.uuid === this.#machineUuid ? report : undefined;
    } catch (error) {
      if (!(error instanceof ReportError)) throw error;
      return undefined;
    }
  }

  /** Of another release, or damaged: it is an operator's to look at, and never overwritten. */
  async #setAside(stick: MountedStick, path: string): Promise<void> {
    for (let number = 1; number <= mostSetAside; number += 1) {
      const aside = `${reportsFolder}/${this.#machineUuid}-${number}.json`;
      if ((await stick.read(aside)) !== undefined) continue;
      await stick.rename(path, aside);
      this.#note(`${path} on the stick cannot be read; it is ${aside} now`);
      return;
    }
    const text = `stick: ${path} cannot be read, nor can ${mostSetAside} others of this machine; take another stick`;
    throw new StickError("damaged", text);
  }
}

/** The same account is taken as it was told last; those that only the stick knows come first, they are older. */
function withFormer(former: readonly ReportedAccount[], own: readonly ReportedAccount[]): ReportedAccount[] {
  const ids = new Set(own.map(({ id }) => id));
  return [...former.filter(({ id }) => !ids.has(id)), ...own];
}
