import { type Command, InvalidArgumentError } from "commander";
import type { AuditEntry } from "../../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { BmcClient } from "../../service/bmc.ts";
import { printable } from "../../service/printable.ts";
import type { Document } from "../document.ts";
import { AuditBrokenError, exitCodeHelp, UsageError } from "../failure.ts";
import { parseKey } from "../key.ts";
import { rendered, table } from "../output.ts";
import { openSession } from "../session.ts";
import type { OutputFormat } from "../settings.ts";
import type { World } from "../world.ts";

/** Entries in one answer of the service. */
const page = 1_000;

/** `bmcctl audit`: who did what. */
export function addAudit(program: Command, world: World): void {
  program
    .command("audit")
    .description("show who changed what, and who looked at secrets")
    .option("-n, --limit <number>", "the most entries, the newest ones", parseLimit, 100)
    .option("-k, --key <mac|uuid>", "only what is about this BMC or machine")
    .option("--verify", "look at every entry there is, and show only whether they hold", false)
    .addHelpText(
      "after",
      `
Newest first. A change has two entries: BEGUN before it was made, and its result. A change without result may have been made.
Every entry is hashed together with the one before it. If one of those that are shown was changed, one between them was removed,
or the log was cut off at its end, this command says so after the entries, and its exit code is 76. --verify looks at the whole
log.
Calls that a caller may not make have 20 entries a minute, then one with their number. It needs the role admin.

Examples:
  bmcctl --role admin audit
  bmcctl --role admin audit --key 92:33:b8:0e:df:8f --limit 20
  bmcctl --role admin audit --verify
  bmcctl --role admin audit --limit 100000 --output json | jq -r '.[] | select(.action == "ShowSecrets") | .actor'
${exitCodeHelp}`,
    )
    .action(async ({ limit, key, verify }: Options, command: Command) => {
      if (verify && (key !== undefined || command.getOptionValueSource("limit") === "cli")) {
        throw new UsageError("--verify: looks at the whole log; leave out --key and --limit");
      }
      const about = key === undefined ? "" : parseKey(key);
      await using session = openSession(world, command);
      const { client, output } = session;
      if (verify) {
        world.stdout.write(verified(output, await readWhole(client, world.interrupt)));
        return;
      }
      const { entries, intact } = await read(client, limit, about, world.interrupt);
      world.stdout.write(
        rendered(output, { asDocument: () => entries.map(entryDocument), asTable: () => entryTable(entries) }),
      );
      if (!intact) throw new AuditBrokenError();
    });
}

interface Options {
  readonly limit: number;
  readonly key?: string;
  readonly verify: boolean;
}

async function read(client: BmcClient, limit: number, key: string, signal: AbortSignal) {
  const entries: AuditEntry[] = [];
  let intact = true;
  for await (const answer of pages(client, limit, key, signal)) {
    entries.push(...answer.entries);
    intact &&= answer.intact;
  }
  return { entries, intact };
}

/** Newest first, up to a number of entries. */
async function* pages(client: BmcClient, limit: number, key: string, signal: AbortSignal) {
  let before = 0n;
  for (let left = limit; left > 0; ) {
    const wanted = Math.min(page, left);
    const answer = await client.listAudit({ limit: wanted, key, before }, signal);
    yield answer;
    const last = answer.entries.at(-1);
    if (last === undefined || answer.entries.length < wanted) return;
    left -= answer.entries.length;
    before = last.number;
  }
}

/**
 * Looks at every entry. They hold if the service says so of each page, and no page leaves one out.
 * @throws AuditBrokenError that names the entries among which it is broken
 */
async function readWhole(
  client: BmcClient,
  signal: AbortSignal,
): Promise<{ entries: number; newest: Date | undefined }> {
  let entries = 0;
  let newest: Date | undefined;
  let expected: bigint | undefined;
  for await (const answer of pages(client, Number.POSITIVE_INFINITY, "", signal)) {
    const [first] = answer.entries;
    const last = answer.entries.at(-1);
    if (!answer.intact || (expected !== undefined && (first?.number ?? 0n) !== expected)) {
      throw new AuditBrokenError(first && last && { from: last.number, to: first.number });
    }
    newest ??= first?.at;
    entries += answer.entries.length;
    expected = (last?.number ?? 1n) - 1n;
  }
  if (expected !== undefined && expected !== 0n) throw new AuditBrokenError({ from: 1n, to: expected });
  return { entries, newest };
}

function verified(output: OutputFormat, { entries, newest }: { entries: number; newest: Date | undefined }): string {
  const document: Document = {
    intact: true,
    entries,
    ...(newest === undefined ? {} : { newest: newest.toISOString() }),
  };
  return rendered(output, {
    asDocument: () => document,
    asTable: () => table(["INTACT", "ENTRIES", "NEWEST"], [["yes", `${entries}`, newest?.toISOString() ?? ""]]),
  });
}

function entryDocument({ number, at, actor, role, action, subject, detail, result, from }: AuditEntry): Document {
  const texts = { actor, role, action, subject, detail, result, from };
  const known = Object.entries(texts).filter(([, text]) => text !== "");
  return {
    number: Number(number),
    ...(at === undefined ? {} : { at: at.toISOString() }),
    ...Object.fromEntries(known.map(([name, text]) => [name, printable(text)])),
  };
}

function entryTable(entries: readonly AuditEntry[]): string {
  const head = ["NUMBER", "AT", "ACTOR", "ROLE", "FROM", "ACTION", "SUBJECT", "RESULT", "DETAIL"];
  const rows = entries.map((each) => {
    const { number, at, actor, role, from, action, subject, result, detail } = each;
    return [`${number}`, at?.toISOString() ?? "", actor, role, from, action, subject, result, detail].map(printable);
  });
  return table(head, rows);
}

function parseLimit(text: string): number {
  const limit = /^\d{1,7}$/.test(text) ? Number(text) : 0;
  if (limit < 1) throw new InvalidArgumentError("Give a number from 1 to 9999999.");
  return limit;
}
