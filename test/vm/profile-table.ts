import { durationText } from "../lab/screen.ts";
import type { Boot } from "./site.ts";

/** How the agent's runs on one profile ended. */
export interface ProfileRow {
  readonly name: string;
  /** In memory, at the BMC's KCS registers; commands as the BMC counted them. */
  readonly atRegisters: { readonly outcome: string; readonly commands: number };
  /** Real kernel, real program, real service. */
  readonly inVm: Boot;
}

const head = ["profile", "registers", "commands", "VM", "commands", "from remote", "run", "from power on"];

/** One line for each profile. */
export function profileTable(rows: readonly ProfileRow[]): string {
  const lines = [
    head,
    ...rows.map(({ name, atRegisters, inVm }) => [
      name,
      atRegisters.outcome,
      String(atRegisters.commands),
      inVm.outcome,
      commandsOf(inVm),
      remotely(inVm),
      durationText(inVm.runMs),
      durationText(inVm.durationMs),
    ]),
  ];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const padded = (line: readonly string[]) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return lines.map((line) => padded(line).trimEnd()).join("\n");
}

/** As they went over the wire; where the kernel had no driver that tells the agent's from its own, as the agent counted. */
function commandsOf({ commands, told }: Boot): string {
  const end = told.find((each) => each.kind === "end");
  return String(commands.length > 0 ? commands.length : (end?.ipmiCommands ?? "-"));
}

/** What became of the service's login from remote. */
function remotely({ outcome }: Boot): string {
  if (outcome === "linked") return "verified";
  return outcome === "failed" ? "refused" : "no account";
}
