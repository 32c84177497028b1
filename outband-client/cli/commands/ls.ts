import type { Command } from "commander";
import { type Bmc, State, type Warning, WarningKind } from "../../../proto/gen/metalstack/bmc/v1/bmc.ts";
import type { BmcClient } from "../../service/bmc.ts";
import { printable } from "../../service/printable.ts";
import { bmcDocument, ipOf, keyOf, stateName } from "../document.ts";
import { exitCodeHelp } from "../failure.ts";
import { rendered, table } from "../output.ts";
import { openSession } from "../session.ts";
import type { World } from "../world.ts";

/** Rows of a page. The service looks at all rows for each page, so that one of 16 MiB, where it ends in any case, is best. */
const pageSize = 100_000;

/** `bmcctl ls`: every row that the service knows. */
export function addLs(program: Command, world: World): void {
  program
    .command("ls")
    .description("list all BMCs, and the machines that have none")
    .option("-w, --wide", "show state and reason of every row")
    .addHelpText(
      "after",
      `
A machine without BMC has an empty MAC and the driver Unmanaged. What an operator should look at stands under the table: each BMC
that is not linked, with state and reason, and for example that two machines report one UUID.
With --output yaml or json each row is the document that "describe" shows.

Examples:
  bmcctl ls
  bmcctl ls --wide
  bmcctl ls --output json | jq -r '.[] | select(.state != "linked") | .mac'
${exitCodeHelp}`,
    )
    .action(async (options: { wide?: boolean }, command: Command) => {
      await using session = openSession(world, command);
      const brief = session.output === "table";
      const bmcs = await allBmcs(session.client, brief, world.interrupt);
      world.stdout.write(
        rendered(session.output, {
          asDocument: () => bmcs.map((row) => bmcDocument(row)),
          asTable: () => rowTable(bmcs, options.wide ?? false),
        }),
      );
    });
}

/** In pages: a message holds only so many. An older service gives all at once. */
async function allBmcs(client: BmcClient, brief: boolean, signal: AbortSignal): Promise<Bmc[]> {
  const all: Bmc[] = [];
  let pageToken: string | undefined;
  do {
    const page = await client.listBmcs({ brief, pageSize, ...(pageToken && { pageToken }) }, signal);
    all.push(...page.bmcs);
    pageToken = page.nextPageToken;
  } while (pageToken);
  return all;
}

function rowTable(bmcs: readonly Bmc[], wide: boolean): string {
  const head = ["MAC", "IP", "VENDOR", "DRIVER", "MACHINE ID", ...(wide ? ["STATE", "REASON"] : [])];
  const rows = bmcs.map((row) => {
    const cells = [row.mac, ipOf(row), row.vendor, row.drivers[0] ?? "", row.machineUuid];
    return [...cells, ...(wide ? [stateName(row.state) ?? "", row.stateReason] : [])].map(printable);
  });
  return table(head, rows) + warningLines(bmcs, wide ? [] : bmcs.filter(isUnfinished));
}

/** A machine without BMC has nothing to be linked, and its driver says so. An older service does not tell the state. */
function isUnfinished({ state }: Bmc): boolean {
  switch (state) {
    case State.STATE_LINKED:
    case State.STATE_UNMANAGED:
    case State.STATE_UNSPECIFIED:
      return false;
    default:
      return true;
  }
}

/** Under the table, which keeps its columns. What is the same for many rows is said once. */
function warningLines(bmcs: readonly Bmc[], unfinished: readonly Bmc[]): string {
  const lines = unfinished.map(unfinishedLine);
  for (const row of bmcs) {
    for (const each of row.warnings) if (!isShared(each)) lines.push(`${keyOf(row)}: ${each.text}`);
  }
  const shared = bmcs.filter((row) => row.warnings.some(isShared));
  if (shared.length > 0) lines.push(sharedLine(shared));
  return lines.length === 0 ? "" : `\n${lines.map((line) => `${printable(`warning: ${line}`)}\n`).join("")}`;
}

function unfinishedLine(row: Bmc): string {
  const reason = row.stateReason === "" ? "" : `: ${row.stateReason}`;
  return `${keyOf(row)}: not linked, ${stateName(row.state)}${reason}`;
}

function isShared({ kind }: Warning): boolean {
  return kind === WarningKind.WARNING_KIND_SHARED_CERTIFICATE;
}

function sharedLine([first, ...more]: readonly Bmc[]): string {
  if (first === undefined) return "";
  const text = first.warnings.find(isShared)?.text ?? "";
  if (more.length === 0) return `${keyOf(first)}: ${text}`;
  return (
    `${more.length + 1} rows: the agent that reported last showed a certificate that is not the machine's own and proves no ` +
    'machine; "bmcctl describe" names it. Give machines enrolment tokens (bmcctl token create)'
  );
}
