import { type Command, InvalidArgumentError } from "commander";
import type { AuditEntry } from "../../../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import type { BmcClient } from "../../service/bmc.ts";
import { type Document, printable } from "../document.ts";
import { AuditBrokenError, exitCodeHelp } from "../failure.ts";
import { parseKey } from "../key.ts";
import { rendered, table } from "../output.ts";
import { openSession } from "../session.ts";
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
    .addHelpText(
      "after",
      `
Newest first. A change has two entries: BEGUN before it was made, and its result. A change without result may have been made.
Every entry is hashed together with the one before it. If one was changed or removed, this command says so after the entries, and
its exit code is 76. It needs the role admin.

Examples:
  bmcctl --role admin audit
  bmcctl --role admin audit --key 92:33:b8:0e:df:8f --limit 20
  bmcctl --role admin audit --limit 100000 --output json | jq -r '.[] | select(.action == "show secrets") | .actor'
${exitCodeHelp}`,
    )
    .action(async ({ limit, key }: { limit: number; key?: string }, command: Command) => {
      const about = key === undefined ? "" : parseKey(key);
      await using session = openSession(world, command);
      const { entries, intact } = await read(session.client, limit, about, world.interrupt);
      world.stdout.write(
        rendered(session.output, { asDocument: () => entries.map(entryDocument), asTable: () => entryTable(entries) }),
      );
      if (!intact) throw new AuditBrokenError();
    });
}

async function read(client: BmcClient, limit: number, key: string, signal: AbortSignal) {
  const entries: AuditEntry[] = [];
  let before = 0n;
  for (;;) {
    const wanted = Math.min(page, limit - entries.length);
    const answer = await client.listAudit({ limit: wanted, key, before }, signal);
    entries.push(...answer.entries);
    const last = answer.entries.at(-1);
    if (last === undefined || answer.entries.length < wanted || entries.length >= limit) {
      return { entries, intact: answer.intact };
    }
    before = last.number;
  }
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
