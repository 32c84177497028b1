import { type Command, InvalidArgumentError } from "commander";
import type { HistoryEntry } from "../../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { printable } from "../../service/printable.ts";
import type { Document } from "../document.ts";
import { exitCodeHelp } from "../failure.ts";
import { parseKey } from "../key.ts";
import { rendered, table } from "../output.ts";
import { openSession } from "../session.ts";
import type { World } from "../world.ts";

/** In one answer of the service. */
const mostEntries = 1_000;

/** `bmcctl history KEY`: what happened to one BMC. */
export function addHistory(program: Command, world: World): void {
  program
    .command("history")
    .description("show what happened to one BMC or machine")
    .argument("<mac|uuid>", "MAC address of the BMC, or UUID of its machine")
    .option("-n, --limit <number>", "the most entries, the newest ones", parseLimit, 100)
    .addHelpText(
      "after",
      `
Newest first: enrolments, logins, power, what operators changed. Who looked at secrets stands in "bmcctl --role admin audit".

Examples:
  bmcctl history 92:33:b8:0e:df:8f
  bmcctl history 37c43c25-69fe-4f88-b69d-4e71dc4070d0 --limit 10
  bmcctl history 92:33:b8:0e:df:8f --output json | jq -r '.[] | select(.action == "linked") | .at'
${exitCodeHelp}`,
    )
    .action(async (text: string, { limit }: { limit: number }, command: Command) => {
      const key = parseKey(text);
      await using session = openSession(world, command);
      const { entries } = await session.client.listHistory({ key, limit }, world.interrupt);
      world.stdout.write(
        rendered(session.output, { asDocument: () => entries.map(entryDocument), asTable: () => entryTable(entries) }),
      );
    });
}

function entryDocument({ at, actor, action, detail }: HistoryEntry): Document {
  return {
    ...(at === undefined ? {} : { at: at.toISOString() }),
    actor: printable(actor),
    action: printable(action),
    ...(detail === "" ? {} : { detail: printable(detail) }),
  };
}

function entryTable(entries: readonly HistoryEntry[]): string {
  const rows = entries.map(({ at, actor, action, detail }) =>
    [at?.toISOString() ?? "", actor, action, detail].map(printable),
  );
  return table(["AT", "WHO", "WHAT", "DETAIL"], rows);
}

function parseLimit(text: string): number {
  const limit = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > mostEntries) throw new InvalidArgumentError(`Give a number from 1 to ${mostEntries}.`);
  return limit;
}
