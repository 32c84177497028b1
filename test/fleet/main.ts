/** `npm run bench:fleet`: enrols a data centre at one real service, and measures it. */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, constants, tmpdir } from "node:os";
import { join } from "node:path";
import { CommanderError } from "commander";
import { ExitCode } from "../../proto/exit-code.ts";
import { buildBmcctl, timeList } from "./list-time.ts";
import { type FleetOptions, parseFleetOptions } from "./options.ts";
import { isRemote, type Played, play, runNames } from "./play.ts";
import { type FleetFigures, markdown, targetLines, targets } from "./report.ts";

/** As of a failed test; the programs' own codes begin at 64. */
const somethingLost = 1;
const problemsShown = 20;

async function main(): Promise<number> {
  let options: FleetOptions;
  try {
    options = parseFleetOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
  }
  const interruption = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => interruption.abort(128 + constants.signals[signal]));
  }
  try {
    const figures = await measure(options, interruption.signal);
    if (options.output === "json") console.log(JSON.stringify({ ...figures, targets: targets(figures) }, undefined, 2));
    else console.log(`\n${targetLines(figures)}\n\n${markdown(figures)}`);
    const problems = figures.runs.flatMap(({ name, lost }) => lost.map((each) => `${name}: ${each}`));
    for (const each of problems.slice(0, problemsShown)) say(`fleet: ${each}`);
    if (problems.length > problemsShown) say(`fleet: and ${problems.length - problemsShown} more`);
    return problems.length === 0 ? ExitCode.done : somethingLost;
  } catch (error) {
    if (interruption.signal.aborted) return Number(interruption.signal.reason);
    say(`fleet: ${error instanceof Error ? error.message : String(error)}`);
    return ExitCode.bug;
  }
}

async function measure({ machines, concurrency, remote }: FleetOptions, signal: AbortSignal): Promise<FleetFigures> {
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-fleet-"));
  try {
    say("build: bmcctl");
    const bmcctl = await buildBmcctl(directory, signal);
    const runs: Played[] = [];
    let listMs: number | undefined;
    for (const name of runNames.filter((each) => remote === undefined || isRemote(each) === remote)) {
      const played = await play(name, {
        ...{ machines, concurrency, directory, signal },
        onEnrolled(count) {
          if (process.stderr.isTTY) process.stderr.write(`\r${name}: ${count} of ${machines}\r`);
        },
        async afterwards(service) {
          listMs ??= await timeList(bmcctl, service, machines);
        },
      });
      say(`${name}: ${played.perSecond.toFixed(0)} enrolments a second, ${played.lost.length} lost`);
      runs.push(played);
    }
    return { machines, concurrency, processors: availableParallelism(), runs, listMs };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

process.exit(await main());
