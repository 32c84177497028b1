import type { Command } from "commander";
import { type Conflict, ConflictDecision } from "../../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { printable } from "../../service/printable.ts";
import type { Document } from "../document.ts";
import { exitCodeHelp, UsageError } from "../failure.ts";
import { rendered, table } from "../output.ts";
import { openSession } from "../session.ts";
import type { World } from "../world.ts";

const decisions: Readonly<Record<number, string>> = {
  [ConflictDecision.CONFLICT_DECISION_UNSPECIFIED]: "open",
  [ConflictDecision.CONFLICT_DECISION_ACCEPTED]: "accepted",
  [ConflictDecision.CONFLICT_DECISION_DISMISSED]: "dismissed",
  [ConflictDecision.CONFLICT_DECISION_ACCEPTED_AS_SEPARATE]: "accepted as separate",
};

/** `bmcctl conflicts`: claims against what was proved, and what is decided about them. */
export function addConflicts(program: Command, world: World): void {
  const conflicts = program
    .command("conflicts")
    .description("show claims that contradict a proved linkage, and decide about them")
    .option("-a, --all", "show those that were decided as well")
    .addHelpText(
      "after",
      `
A machine that claims the BMC of another one, or whose BMC was another one before, changes nothing. Nor does a BMC at another
place, or with another GUID, which only a new account opens. The claim stands here until an admin decides about it.

Examples:
  bmcctl conflicts
  bmcctl --role admin conflicts accept 12
  bmcctl --role admin conflicts accept 12 --separate
  bmcctl --role admin conflicts dismiss 12
${exitCodeHelp}`,
    )
    .action(async ({ all = false }: { all?: boolean }, command: Command) => {
      await using session = openSession(world, command);
      const { conflicts: found } = await session.client.listConflicts({ all }, world.interrupt);
      world.stdout.write(
        rendered(session.output, {
          asDocument: () => found.map(conflictDocument),
          asTable: () => conflictTable(found),
        }),
      );
    });
  addDecision(conflicts, world, {
    name: "accept",
    decision: ConflictDecision.CONFLICT_DECISION_ACCEPTED,
    description: "the claim is right: a part was moved or replaced",
    separate: true,
    help: `
Look first whether the address in its text is right. Nothing changes yet: boot the machine that claims again, and it is
linked. Only that machine with the same board may use this, with the BMC at the same place. It needs the role admin.
With --separate the linked machine stays what it is, and the other one gets a row of its own.`,
  });
  addDecision(conflicts, world, {
    name: "dismiss",
    decision: ConflictDecision.CONFLICT_DECISION_DISMISSED,
    description: "the claim is wrong: everything stays",
    help: `
If it is claimed again, it is a new conflict. It needs the role admin.`,
  });
}

interface Decision {
  readonly name: string;
  readonly decision: ConflictDecision;
  readonly description: string;
  /** Whether it can be said of a further machine. */
  readonly separate?: true;
  readonly help: string;
}

function addDecision(parent: Command, world: World, about: Decision): void {
  const { name, description, help } = about;
  const command = parent
    .command(name)
    .description(description)
    .argument("<id>", 'number of the conflict, as "bmcctl conflicts" shows it');
  if (about.separate) command.option("--separate", "it is another machine, which has the same UUID");
  command
    .addHelpText("after", `${help}\n\nExamples:\n  bmcctl --role admin conflicts ${name} 12\n${exitCodeHelp}`)
    .action(async (id: string, { separate = false }: { separate?: boolean }) => {
      const decision = separate ? ConflictDecision.CONFLICT_DECISION_ACCEPTED_AS_SEPARATE : about.decision;
      if (!/^\d{1,15}$/.test(id))
        throw new UsageError(`${JSON.stringify(id.slice(0, 100))} is no number of a conflict`);
      await using session = openSession(world, command);
      const { conflict } = await session.client.resolveConflict({ id, decision }, world.interrupt);
      if (conflict === undefined) throw new Error(`the service answered without the conflict ${id}`);
      world.stdout.write(
        rendered(session.output, {
          asDocument: () => conflictDocument(conflict),
          asTable: () => conflictTable([conflict]),
        }),
      );
    });
}

function conflictDocument(conflict: Conflict): Document {
  const entries = {
    id: conflict.id,
    first_at: conflict.firstAt?.toISOString(),
    last_at: conflict.lastAt?.toISOString(),
    count: conflict.count,
    key: conflict.key,
    machine_id: conflict.machineUuid,
    board_serial: conflict.boardSerial,
    claimed_mac: conflict.claimedMac,
    claimed_by: conflict.claimedBy,
    decision: decisionOf(conflict),
    decided_by: conflict.decidedBy,
    decided_at: conflict.decidedAt?.toISOString(),
    text: conflict.text,
  };
  const known = Object.entries(entries).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [[name, typeof value === "string" ? printable(value) : value]],
  );
  return Object.fromEntries(known);
}

function conflictTable(conflicts: readonly Conflict[]): string {
  const head = ["ID", "LAST AT", "COUNT", "KEY", "DECISION", "TEXT"];
  const rows = conflicts.map((each) => [
    ...[each.id, each.lastAt?.toISOString() ?? "", `${each.count}`, each.key].map(printable),
    decisionOf(each),
    printable(each.text),
  ]);
  return table(head, rows);
}

function decisionOf({ decision }: Conflict): string {
  return decisions[decision] ?? `decision ${decision}`;
}
