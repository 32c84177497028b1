import { styleText } from "node:util";
import type { Command } from "commander";
import type { Bmc } from "../../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { printable } from "../../service/printable.ts";
import { withRejoin } from "../../service/retry.ts";
import { ServiceError } from "../../service/service-error.ts";
import { bmcDocument, type Document, flatten, ipOf, keyOf } from "../document.ts";
import { exitCodeHelp } from "../failure.ts";
import { yamlDocument } from "../output.ts";
import { openSession, type Session } from "../session.ts";
import { type World, wantsColour } from "../world.ts";

// How long a service may be away before watching ends.
const awayLimitMs = 600_000;

/** One line of what happened. `changes` names what is new in a row that was known. */
type Happening =
  | { readonly event: "present" | "added"; readonly key: string; readonly bmc: Document; readonly row: Bmc }
  | { readonly event: "changed"; readonly key: string; readonly bmc: Document; readonly changes: readonly string[] }
  | { readonly event: "deleted"; readonly key: string };

/** `bmcctl watch`: every row once, then each change, until Ctrl-C. */
export function addWatch(program: Command, world: World): void {
  program
    .command("watch")
    .description("show every BMC once, then each change as it happens, until Ctrl-C")
    .addHelpText(
      "after",
      `
A line holds time (UTC), MAC or machine UUID, state, and what changed, warnings included. Ctrl-C ends it with exit code 0.
If the service goes away for a while, watching goes on when it is back; that is said on stderr.

With --output json each line is one document: {"at", "event", "key", "bmc"}, where event is "present" (known at the start),
"added", "changed" or "deleted", and bmc is the document that "describe" shows. With --output yaml the same, separated by ---.

Examples:
  bmcctl watch
  bmcctl watch --output json | jq -r 'select(.bmc.state == "failed") | .key'
${exitCodeHelp}`,
    )
    .action(async (_options: unknown, command: Command) => {
      await using session = openSession(world, command);
      try {
        for await (const happening of happenings(session)) {
          world.stdout.write(shown(happening, session));
        }
      } catch (error) {
        if (!world.interrupt.aborted) throw error;
      }
    });
}

async function* happenings(session: Session): AsyncGenerator<Happening> {
  const { client, world } = session;
  const known = new Map<string, Document>();
  // Rows of the snapshot in progress; what was known and is not among them was deleted while nobody watched.
  let snapshot: Set<string> | undefined;
  let connectedOnce = false;

  async function* join(signal: AbortSignal) {
    snapshot = new Set();
    yield* client.watchBmcs({}, signal);
    // A service that stops in good order ends its streams without an error.
    throw new ServiceError("unavailable", "the BMC service ended the stream");
  }

  const stream = withRejoin(join, {
    limitMs: awayLimitMs,
    signal: world.interrupt,
    onRetry: (_attempt, waitMs, error) => {
      // A service that was never there is most likely a wrong address: that is for the user to decide, at once.
      if (!connectedOnce) throw error;
      world.stderr.write(`bmcctl: ${error.message}; trying again in ${(waitMs / 1_000).toFixed(1)} s\n`);
    },
  });
  for await (const { change } of stream) {
    const first = !connectedOnce;
    switch (change?.$case) {
      case "bmc": {
        const row = change.value;
        const key = keyOf(row);
        const bmc = bmcDocument(row);
        const before = known.get(key);
        known.set(key, bmc);
        snapshot?.add(key);
        if (before === undefined) {
          yield { event: snapshot && first ? "present" : "added", key, bmc, row };
          break;
        }
        const changes = differences(before, bmc);
        if (changes.length > 0) yield { event: "changed", key, bmc, changes };
        break;
      }
      case "deletedKey":
        if (known.delete(change.value)) yield { event: "deleted", key: change.value };
        break;
      case "snapshotComplete":
        for (const key of known.keys()) {
          if (snapshot?.has(key)) continue;
          known.delete(key);
          yield { event: "deleted", key };
        }
        snapshot = undefined;
        connectedOnce = true;
        break;
      case undefined:
        // A newer service may tell of things that are not known here.
        break;
      default:
        change satisfies never;
    }
  }
}

function differences(before: Document, after: Document): string[] {
  const old = new Map(flatten(before));
  const now = new Map(flatten(after));
  const changes: string[] = [];
  for (const key of new Set([...old.keys(), ...now.keys()])) {
    if (key === "changed_at" || old.get(key) === now.get(key)) continue;
    changes.push(`${key} ${old.get(key) ?? "(none)"} -> ${now.get(key) ?? "(none)"}`);
  }
  return changes;
}

function shown(happening: Happening, { output, world }: Session): string {
  const at = new Date().toISOString();
  const { event, key } = happening;
  if (output !== "table") {
    const document = { at, event, key, ...(happening.event === "deleted" ? {} : { bmc: happening.bmc }) };
    return output === "json" ? `${JSON.stringify(document)}\n` : yamlDocument(document);
  }
  const state = happening.event === "deleted" ? "deleted" : String(happening.bmc.state ?? "");
  const padded = state.padEnd(10);
  const coloured = wantsColour(world.stdout, world.env)
    ? styleText(colour(state), padded, { validateStream: false })
    : padded;
  return `${at}  ${printable(key).padEnd(17)}  ${coloured}  ${summary(happening)}`.trimEnd().concat("\n");
}

function summary(happening: Happening): string {
  switch (happening.event) {
    case "present":
    case "added": {
      const { row } = happening;
      const machine = row.machineUuid && row.mac ? `machine ${row.machineUuid}` : "";
      const warnings = row.warnings.map(({ text }) => `warning: ${text}`);
      const parts = [ipOf(row), row.vendor, row.drivers[0], machine, row.stateReason, ...warnings];
      return printable(parts.filter(Boolean).join("  "));
    }
    case "changed":
      return happening.changes.join("; ");
    case "deleted":
      return "";
    default:
      return happening satisfies never;
  }
}

function colour(state: string): "green" | "red" | "yellow" | "gray" {
  switch (state) {
    case "linked":
      return "green";
    case "failed":
    case "locked":
      return "red";
    case "unmanaged":
    case "deleted":
      return "gray";
    default:
      return "yellow";
  }
}
