/** `npm run chaos`: enrols machines while things die, and looks at every instant whether the service still gets in. */
import { randomInt } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { CommanderError } from "commander";
import { ExitCode } from "../../proto/exit-code.ts";
import { playCampaign } from "./campaign.ts";
import { caseText } from "./fault.ts";
import { type ChaosOptions, parseChaosOptions } from "./options.ts";
import { summarise, summaryText } from "./report.ts";

/** As of a program that Ctrl-C ends: 128 and the number of SIGINT. */
const endedEarly = 130;

async function main(): Promise<number> {
  let options: ChaosOptions;
  try {
    options = parseChaosOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
  }
  const { seed = randomInt(2 ** 31), runs, only, lanes, output, report } = options;
  const isText = output === "table";
  if (isText) console.log(`seed ${seed}`);
  const startedAt = performance.now();
  let count = 0;
  // What was played until then is worth telling.
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => stop.abort());
  const results = await playCampaign({
    ...{ runs, seed, only, lanes },
    stop: stop.signal,
    onPlayed({ played, violation }) {
      count += 1;
      if (process.stderr.isTTY) process.stderr.write(`\r${count} of ${runs}`);
      // At once: whatever ends this early, it is told.
      if (violation !== undefined) process.stderr.write(`\rBROKEN after ${count} runs: ${caseText(played)}\n`);
    },
  });
  if (process.stderr.isTTY) process.stderr.write("\r");
  const summary = summarise(results, seed);
  const seconds = (performance.now() - startedAt) / 1000;
  const text = `${summaryText(summary)} (${seconds.toFixed(1)} s)`;
  console.log(isText ? text : JSON.stringify({ ...summary, seconds }));
  if (report !== undefined) {
    await mkdir(dirname(report), { recursive: true });
    await writeFile(report, `${text}\n`);
  }
  if (only !== undefined && summary.faulted === 0) console.error("chaos: none of its faults came to pass");
  // 1 as of a failed test; the programs' own codes begin at 64.
  if (summary.failures.length > 0) return 1;
  return stop.signal.aborted ? endedEarly : ExitCode.done;
}

process.exitCode = await main();
