import type { LocalSources } from "../configure.ts";
import type { Console, RunEnd } from "../console.ts";
import { outcomeDocument, outcomePath, writeOutcomeFile } from "./outcome-file.ts";

/** The file for the next program, from the begin of a run to its end. A file that cannot be written ends nothing. */
export class OutcomeRecord {
  readonly #started: Date;
  #path: string | undefined = process.geteuid?.() === 0 ? outcomePath : undefined;

  constructor(started: Date) {
    this.#started = started;
  }

  /** Says that a run is under way: nobody shall take an old file for its end. Only root writes where nobody told to. */
  begin({ local, sources }: LocalSources, isGuest: boolean, console: Pick<Console, "note">): void {
    const isNamed = sources.some(({ values }) => values.has("outcome"));
    if (isNamed || isGuest) this.#path = local.outcomeFile;
    this.#write(undefined, undefined, console);
  }

  async end(ended: RunEnd, console: Pick<Console, "note">): Promise<void> {
    if (this.#path === undefined) return;
    const ownUuid = ended.machineUuid === undefined ? await readOwnUuid() : undefined;
    this.#write({ ...ended, at: new Date() }, ownUuid, console);
  }

  #write(end: Parameters<typeof outcomeDocument>[1], ownUuid: string | undefined, console: Pick<Console, "note">) {
    if (this.#path === undefined) return;
    try {
      writeOutcomeFile(this.#path, outcomeDocument(this.#started, end, ownUuid));
    } catch (error) {
      console.note(`the outcome was not written to ${this.#path}: ${(error as Error).message}`);
    }
  }
}

/** Of a run that failed: what the firmware tells, if that is the machine's own. */
async function readOwnUuid(): Promise<string | undefined> {
  try {
    const [{ readSmbiosTables }, { parseSmbios }, { identifyMachine }] = await Promise.all([
      import("../../inband/smbios/read-tables.ts"),
      import("../../inband/smbios/parse-smbios.ts"),
      import("../../inband/smbios/identify-machine.ts"),
    ]);
    return identifyMachine(parseSmbios(await readSmbiosTables()))?.uuid;
  } catch {
    return undefined; // the run has told what is wrong with it
  }
}
