/** What the technician's screen shows, as plain values: the renderer needs nothing else. No text holds a secret. */

/** How many lines and columns every text console has. */
export const rows = 25;
export const columns = 80;

/** For consoles with colours; nothing is told by colour alone. */
export type Tone = "good" | "attention" | "bad";

/** How a run may end, in big letters; docs/technician.md says of each what to do. */
export const states = [
  "LINKED",
  "ON STICK",
  "NOT VERIFIED",
  "NO BMC",
  "LOCKED",
  "NEEDS OPERATOR",
  "BMC UNREACHED",
  "BMC BOOTING",
  "NO NETWORK",
  "NO SERVICE",
  "NO CONFIG",
  "BAD CONFIG",
  "WAITING",
  "TOO SLOW",
  "FAILED",
  "NO STICK",
  "STICK LOCKED",
  "STICK FULL",
  "BAD STICK",
] as const;

export type State = (typeof states)[number];

/** How a run ended, for a person who stands in front of the machine. */
export interface Verdict {
  readonly word: State;
  readonly tone: Tone;
  /** What happened. */
  readonly why: string;
  /** What to do now. */
  readonly next: string;
  /** The words of the log, for those whom `why` is too plain; "" if they add nothing. */
  readonly detail: string;
  /** Whether the run could go on if the document on the stick were left out. */
  readonly canLeaveDocument?: boolean;
}

export interface MachineFacts {
  readonly uuid: string;
  /** Why the UUID is not taken for the machine's own. */
  readonly uuidRemark?: string;
  readonly product: string;
  readonly board: string;
  readonly serial: string;
}

/** Empty texts are not known yet. */
export interface BmcLine {
  readonly mac: string;
  readonly address: string;
  readonly firmware: string;
}

export interface StepRow {
  readonly name: string;
  readonly state: "waiting" | "running" | "done" | "failed";
  /** On the clock of the screen, ms. */
  readonly startedMs: number;
  readonly durationMs: number;
  /** How long it may take, ms; 0 if nobody knows. */
  readonly limitMs: number;
}

export interface KeyOffer {
  readonly key: string;
  readonly does: string;
}

export interface ScreenModel {
  readonly version: string;
  readonly machine: MachineFacts | undefined;
  /** Where it stands, at most 64 characters; "" if nobody has said. */
  readonly site: string;
  readonly bmc: BmcLine;
  /** How the machine is on the network; "" if it is not. */
  readonly network: string;
  readonly steps: readonly StepRow[];
  /** The last thing that was told. */
  readonly remark: string;
  readonly verdict: Verdict | undefined;
  readonly keys: readonly KeyOffer[];
  /** Stands in the place of the keys: "Power off? Y yes, N no". */
  readonly question: string;
}
