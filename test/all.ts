/**
 * `npm test` and `npm run test:fast`: every check of the project in stages, one line each.
 * The last line counts tests: "N passed, N failed". A stage that fails without naming a test counts as one failed.
 */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { parseArgs } from "node:util";
import { execa } from "execa";

const root = join(import.meta.dirname, "..");
const tool = (name: string): string => join(root, "node_modules/.bin", name);
const minutes = 60_000;

const help = `Usage: npm test, or npm run test:fast

Runs types, lint (with the folder borders) and the fast tests; without --fast also runs those that take longer (long), feeds
the decoders a million inputs (fuzz), plays 10,000 random scenarios of the agent's run (properties), enrols 200 machines
while things die (chaos), builds the programs and the ramdisk and runs the tests against foreign programs (peers) and in
virtual machines (vm).

  --fast  only what needs no root, no foreign program and no network
  --help  this text

Exit codes: 0 all passed, 1 something failed, 64 wrong usage.
`;

interface Stage {
  readonly name: string;
  readonly command: readonly [program: string, ...args: string[]];
  /** The stage's tests are counted: it is a vitest project. */
  readonly project?: string;
  /** Stages without which this one has nothing to run on. */
  readonly after?: readonly string[];
  /** A file that it leaves for people to read; shown when it ends. */
  readonly report?: string;
  readonly limitMs: number;
}

const vitest = (project: string, limitMs: number, after: readonly string[] = []): Stage => ({
  name: project,
  command: [process.execPath, tool("vitest"), "run", "--project", project],
  project,
  after,
  limitMs,
});

const fastStages: readonly Stage[] = [
  { name: "types", command: [tool("tsc"), "--noEmit"], limitMs: 3 * minutes },
  { name: "lint", command: [tool("biome"), "check", "--error-on-warnings", "."], limitMs: 3 * minutes },
  vitest("fast", 5 * minutes),
];

const slowStages: readonly Stage[] = [
  vitest("long", 10 * minutes),
  {
    name: "fuzz",
    // The same inputs each time: a failure is then due to the change at hand. `npm run fuzz` takes others.
    command: [
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      "test/fuzz/main.ts",
      ...["--seed", "1", "--inputs", "1000000"],
    ],
    limitMs: 10 * minutes,
  },
  {
    name: "properties",
    // The same scenarios each time, for the same reason. `npm run properties` takes others.
    command: [
      process.execPath,
      "test/run/properties.ts",
      ...["--seed", "1", "--count", "10000", "--report", "dist/properties.txt"],
    ],
    report: "dist/properties.txt",
    limitMs: 15 * minutes,
  },
  {
    name: "chaos",
    // Few of all cases, the same each time. `npm run chaos` takes 2,500, others each time; --runs takes more.
    command: [
      process.execPath,
      "--disable-warning=ExperimentalWarning",
      "test/chaos/main.ts",
      ...["--seed", "1", "--runs", "200", "--report", "dist/chaos.txt"],
    ],
    report: "dist/chaos.txt",
    limitMs: 10 * minutes,
  },
  { name: "build", command: [process.execPath, "build.mjs"], limitMs: 10 * minutes },
  {
    name: "image",
    command: [process.execPath, "image/build.ts", "--agent", "dist/metal-rivet"],
    after: ["build"],
    limitMs: 30 * minutes,
  },
  vitest("peers", 30 * minutes, ["build", "image"]),
  { ...vitest("vm", 90 * minutes, ["build", "image"]), report: "dist/profiles.txt" },
];

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface StageResult extends Counts {
  readonly ok: boolean;
  /** What failed, a line each. */
  readonly failures: readonly string[];
}

/** What of vitest's JSON report is used here. */
interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    /** The file's path. */
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages?: readonly string[];
    }[];
  }[];
}

/** A file that failed before its tests ran (an import, a hook) has no failed test to its name: it counts as one. */
export function countTests(report: VitestReport): Counts {
  const filesWithoutTests = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && !assertionResults.some((test) => test.status === "failed"),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + filesWithoutTests.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/** Each failed test, or file that failed before its tests, with the first line of why: a whole run's output is long. */
export function failures(report: VitestReport): string[] {
  return report.testResults
    .filter(({ status }) => status === "failed")
    .flatMap(({ name, message, assertionResults }) => {
      const failed = assertionResults.filter((test) => test.status === "failed");
      const said =
        failed.length > 0 ? failed.map((test) => [test.fullName, test.failureMessages?.[0]]) : [["", message]];
      const file = relative(root, name);
      return said.map(
        ([test, why]) => `${file}${test ? ` > ${test}` : ""}: ${why?.split("\n")[0] || "no reason given"}`,
      );
    });
}

async function runStage(stage: Stage, scratch: string): Promise<StageResult> {
  const started = performance.now();
  process.stdout.write(`${stage.name.padEnd(10)} `);
  const [program, ...args] = stage.command;
  const reportFile = join(scratch, `${stage.name}.json`);
  const reporters = stage.project ? ["--reporter=default", "--reporter=json", `--outputFile.json=${reportFile}`] : [];
  const shown = stage.report === undefined ? undefined : join(root, stage.report);
  // One of an earlier run would be taken for this one's.
  if (shown !== undefined) await rm(shown, { force: true });
  const done = await execa(program, [...args, ...reporters], {
    cwd: root,
    all: true,
    reject: false,
    stdin: "ignore",
    timeout: stage.limitMs,
    // Enough for tests' own cleanup (virtual machines, simulators) before the kill.
    forceKillAfterDelay: 20_000,
    maxBuffer: 100 * 1024 * 1024,
  });
  const seconds = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  const report = stage.project ? await readReport(reportFile) : undefined;
  const counts = stage.project ? report && countTests(report) : { passed: 0, failed: 0, skipped: 0 };
  const ok = !done.failed && counts !== undefined && counts.failed === 0;
  const tests = stage.project && counts ? `, ${counts.passed} passed${note(counts)}` : "";
  console.log(`${ok ? "ok" : "FAILED"}  ${seconds}${tests}`);
  const text = shown === undefined ? undefined : await readFile(shown, "utf8").catch(() => undefined);
  if (text !== undefined) console.log(`\n${text}`);
  if (!ok) {
    const why = done.timedOut
      ? `not done after ${stage.limitMs / minutes} minutes`
      : `exit code ${done.exitCode ?? done.signal}`;
    console.log(`\n${done.all}\n${stage.name}: ${why}: ${stage.command.join(" ")}\n`);
  }
  const { passed, failed, skipped } = counts ?? { passed: 0, failed: 0, skipped: 0 };
  return { ok, passed, skipped, failed: !ok && failed === 0 ? 1 : failed, failures: report ? failures(report) : [] };
}

const note = ({ failed, skipped }: Counts): string =>
  `${failed > 0 ? `, ${failed} failed` : ""}${skipped > 0 ? `, ${skipped} skipped` : ""}`;

/** Undefined when vitest died before it could report; the stage has failed then. */
async function readReport(file: string): Promise<VitestReport | undefined> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as VitestReport);
}

async function runAll(stages: readonly Stage[]): Promise<boolean> {
  const scratch = await mkdtemp(join(tmpdir(), "rivet-test-"));
  const failedStages: string[] = [];
  const allFailures: string[] = [];
  let [passed, failed] = [0, 0];
  try {
    for (const stage of stages) {
      const lacking = stage.after?.filter((name) => failedStages.includes(name)) ?? [];
      if (lacking.length > 0) {
        console.log(`${stage.name.padEnd(10)} FAILED  not run, because of ${lacking.join(", ")}`);
        failedStages.push(stage.name);
        failed += 1;
        continue;
      }
      const result = await runStage(stage, scratch);
      passed += result.passed;
      failed += result.failed;
      allFailures.push(...result.failures.map((line) => `${stage.name}: ${line}`));
      if (!result.ok) failedStages.push(stage.name);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  // Said again at the end: what the stages printed is long, and whoever keeps only its end has to know.
  for (const line of allFailures) console.log(line);
  if (failedStages.length > 0) console.log(`failed stages: ${failedStages.join(", ")}`);
  console.log(`${passed} passed, ${failed} failed`);
  return failedStages.length === 0;
}

async function main(): Promise<number> {
  let options: { fast: boolean; help: boolean };
  try {
    options = parseArgs({
      options: { fast: { type: "boolean", default: false }, help: { type: "boolean", default: false } },
    }).values;
  } catch (error) {
    console.error(`test: ${error instanceof Error ? error.message : error}\nTry --help.`);
    return 64;
  }
  if (options.help) {
    process.stdout.write(help);
    return 0;
  }
  return (await runAll(options.fast ? fastStages : [...fastStages, ...slowStages])) ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
