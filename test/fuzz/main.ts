import { CommanderError } from "commander";
import { ExitCode } from "../../proto/exit-code.ts";
import { decoders } from "./decoders/index.ts";
import { type DecoderResult, fuzzLimits } from "./fuzz-decoder.ts";
import { chooseDecoders, type FuzzCommandOptions, parseFuzzOptions, shareOut } from "./options.ts";
import { failureText, headLine, resultLine } from "./report.ts";
import { type Job, supervise } from "./supervise.ts";

/** Far above what is slow, far below what a person waits. */
const hangMs = 15_000;

/** 1: a decoder failed, as a failed test does; the programs' own codes begin at 64. */
const faultFound = 1;

async function main(): Promise<number> {
  const options = readOptions();
  if (typeof options === "number") return options;
  const chosen = chooseDecoders(decoders, options.decoder);
  if (options.list) {
    console.log(chosen.map(({ name }) => name).join("\n"));
    return ExitCode.done;
  }
  const [first] = chosen;
  if (first === undefined) return wrongUsage(`no decoder's name contains "${options.decoder}"; --list shows them`);
  const { seed } = options;
  const single = singleJob(options, first.name);
  if (single !== undefined && chosen.length > 1) {
    return wrongUsage(`one input is for one decoder, "${options.decoder}" are ${chosen.length}; --list shows them`);
  }
  const counts = shareOut(chosen, options.inputs);
  const jobs =
    single === undefined ? chosen.map(({ name }, i) => ({ decoder: name, inputs: counts[i] ?? 1 })) : [single];
  const much = single === undefined ? `${total(counts)} inputs for ${jobs.length} decoders` : "one input";
  console.log(`seed ${seed}, ${much}`);
  console.log(headLine());
  const started = performance.now();
  const module = new URL("./decoders/index.ts", import.meta.url).href;
  const results = await supervise({ module, jobs, seed, limits: fuzzLimits, hangMs }, (result) => {
    console.log(resultLine(result));
  });
  return conclude(results, seed, performance.now() - started);
}

function singleJob({ at, hex: input }: FuzzCommandOptions, decoder: string): Job | undefined {
  if (input !== undefined) return { decoder, input };
  return at === undefined ? undefined : { decoder, at };
}

function conclude(results: readonly DecoderResult[], seed: number, ms: number): number {
  const failures = results.flatMap(({ failure }) => (failure === undefined ? [] : [failure]));
  for (const failure of failures) console.log(`\n${failureText(failure, seed)}`);
  const inputs = total(results.map((result) => result.inputs));
  const found = failures.length === 0 ? "no decoder failed" : `${failures.length} of ${results.length} decoders failed`;
  console.log(`\n${inputs} input${inputs === 1 ? "" : "s"} in ${(ms / 1000).toFixed(1)} s, ${found}`);
  return failures.length === 0 ? ExitCode.done : faultFound;
}

const total = (counts: readonly number[]): number => counts.reduce((sum, each) => sum + each, 0);

function wrongUsage(problem: string): number {
  process.stderr.write(`fuzz: ${problem}\n`);
  return ExitCode.usage;
}

function readOptions() {
  try {
    return parseFuzzOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
  }
}

process.exitCode = await main();
