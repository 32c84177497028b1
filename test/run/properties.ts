/**
 * `npm run properties`: plays random scenarios (test/run/property-scenario.ts) until one breaks what must always hold, or
 * all are played.
 */
import { randomInt } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { ExitCode } from "../../proto/exit-code.ts";
import { checkProperties, failureText } from "./property-runs.ts";

const help = `Usage: npm run properties -- [--count N] [--seed N] [--path PATH] [--report FILE]

Plays random scenarios: a simulated BMC, what happened to it before, and runs of the agent in which commands and calls
to the service are refused, lost, cut short, late, double, too long or for another command, in which writes are forgotten,
the BMC restarts and the machine loses its power. At every instant: accounts of others are as they were, every password on
the BMC is in escrow, and what opened it still does; of ours no more are open than before and the new one. After each run:
it ended within its limit, outcome and exit code agree, no password was told, and where the machine was linked and nothing
went wrong one account of ours is enabled. In the end, when nothing goes wrong any more, the machine is linked.

  --count N      how many scenarios (default 10000)
  --seed N       of the random scenarios (default: another one each time; it is told)
  --path PATH    play only this one of the seed: a failure names it
  --report FILE  write the result into this file too
  --help         this text

Exit codes: 0 all of it held, 1 it did not, 64 wrong usage.
`;

interface PropertyOptions {
  readonly count: number;
  readonly seed: number;
  readonly path: string | undefined;
  readonly report: string | undefined;
}

function readOptions(args: string[]): PropertyOptions | "help" {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args,
    options: { count: text, seed: text, path: text, report: text, help: { type: "boolean" } },
  });
  if (values.help) return "help";
  const number = (name: "count" | "seed", standard: number): number => {
    const given = values[name];
    if (given === undefined) return standard;
    if (!/^\d{1,9}$/.test(given)) throw new Error(`--${name} "${given}": a whole number is needed`);
    return Number(given);
  };
  if (values.path !== undefined && !/^\d+(:\d+)*$/.test(values.path)) {
    throw new Error(`--path "${values.path}": numbers with colons between them are needed`);
  }
  const seed = number("seed", randomInt(1_000_000_000));
  return { count: number("count", 10_000), seed, path: values.path, report: values.report };
}

async function main(): Promise<number> {
  let options: PropertyOptions | "help";
  try {
    options = readOptions(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`properties: ${error instanceof Error ? error.message : error}\nTry --help.\n`);
    return ExitCode.usage;
  }
  if (options === "help") {
    process.stdout.write(help);
    return ExitCode.done;
  }
  const { seed, report } = options;
  console.log(`seed ${seed}`);
  const startedAt = performance.now();
  const { outcomes, played, failure } = await checkProperties(options);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const ended = [...outcomes].sort(([, a], [, b]) => b - a).map(([outcome, times]) => `${times} ${outcome}`);
  const found = failure === undefined ? "all held" : `broken: ${failureText(failure, seed)}`;
  const result = `${played} scenarios of seed ${seed} in ${seconds} s (runs: ${ended.join(", ")}): ${found}`;
  console.log(result);
  if (report !== undefined) {
    await mkdir(dirname(report), { recursive: true });
    await writeFile(report, `${result}\n`);
  }
  // 1 as of a failed test; the programs' own codes begin at 64.
  return failure === undefined ? ExitCode.done : 1;
}

process.exitCode = await main();
