import { parseAgentLine } from "../../lab/agent-log.ts";
import { marker } from "../overlay.ts";

/** What a machine gets to, one after the other, from the instant at which its power is switched on. */
export const marks = ["init", "first line", "network", "BMC read", "linked"] as const;

export type Mark = (typeof marks)[number];

/** Milliseconds since power-on, of the marks that were seen. */
export type Timeline = Readonly<Partial<Record<Mark, number>>>;

/** The agent's own account of how the run ended. */
export interface Ending {
  readonly outcome: string;
  readonly exitCode: number;
  readonly text: string;
}

/** Lines by which the ramdisks of the bench tell where they are: "BENCH init". */
const told: Readonly<Record<string, Mark>> = {
  init: "init",
  first: "first line",
  network: "network",
  bmc: "BMC read",
  linked: "linked",
};

/** What a line of the serial console says; undefined if nothing that is measured. */
export function markOf(line: string): { readonly mark: Mark; readonly ending?: Ending } | undefined {
  const [word, name = ""] = line.slice(Math.max(0, line.indexOf(marker))).split(/\s+/);
  if (word === marker) return named(told[name]);
  const said = parseAgentLine(line);
  switch (said?.kind) {
    case "first":
      return named("first line");
    case "init":
      return named(said.task === "network" ? "network" : undefined);
    case "step":
      return named(said.step.step === "inspect BMC" && said.step.ok ? "BMC read" : undefined);
    case "end": {
      const { outcome, exitCode, text } = said;
      return { mark: "linked", ending: { outcome, exitCode, text } };
    }
    default:
      return undefined;
  }
}

const named = (mark: Mark | undefined) => (mark === undefined ? undefined : { mark });
