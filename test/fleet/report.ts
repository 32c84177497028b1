import type { Played, Sample } from "./play.ts";

/** Everything that was measured. */
export interface FleetFigures {
  readonly machines: number;
  readonly concurrency: number;
  readonly processors: number;
  readonly runs: readonly Played[];
  /** `bmcctl ls` of all rows, median; undefined if it was not measured. */
  readonly listMs: number | undefined;
}

export interface Target {
  readonly what: string;
  readonly measured: string;
  readonly target: string;
  readonly reached: boolean;
}

/** Memory may grow by that much from the middle of a run to its end and is still flat: the collector comes and goes. */
const flatGrowth = 1.15;
/** The second half of the machines may take that much more of the disk than the first, and the growth is linear; less is no fault. */
const linearShare = 0.15;

/** The targets, and whether they were reached. */
export function targets({ runs, listMs, machines }: FleetFigures): Target[] {
  const [plain] = runs.filter(({ name }) => name === "shared certificate");
  return [
    {
      what: "lost, all runs",
      measured: String(runs.reduce((sum, { lost }) => sum + lost.length, 0)),
      target: "0",
      reached: runs.every(({ lost }) => lost.length === 0),
    },
    ...(plain === undefined
      ? []
      : [
          {
            what: "enrolments a second, without remote login",
            measured: plain.perSecond.toFixed(0),
            target: "at least 200",
            reached: plain.perSecond >= 200,
          },
        ]),
    ...runs
      .filter(({ downMs }) => downMs === undefined)
      .flatMap(({ name, samples }): Target[] => {
        const { middle, end, firstHalfBytes, secondHalfBytes } = growthOf(samples);
        return [
          {
            what: `memory at the end, ${name}`,
            measured: mb(end.residentBytes),
            target: `at most ${mb(middle.residentBytes * flatGrowth)} (middle + 15 %)`,
            reached: end.residentBytes <= middle.residentBytes * flatGrowth,
          },
          {
            what: `database of the second half, ${name}`,
            measured: `${kb(secondHalfBytes)} a machine`,
            target: `at most ${kb(firstHalfBytes * (1 + linearShare))} a machine (first half + 15 %)`,
            reached: secondHalfBytes <= firstHalfBytes * (1 + linearShare),
          },
        ];
      }),
    ...(listMs === undefined
      ? []
      : [
          {
            what: `bmcctl ls of ${machines.toLocaleString("en")} rows`,
            measured: `${listMs.toFixed(0)} ms`,
            target: "below 500 ms",
            reached: listMs < 500,
          },
        ]),
  ];
}

/** The targets as lines for people. */
export function targetLines(figures: FleetFigures): string {
  return targets(figures)
    .map(({ what, measured, target, reached }) => `${reached ? "reached" : "MISSED "}  ${what}: ${measured}; ${target}`)
    .join("\n");
}

/** What stands in README.md. */
export function markdown({ machines, concurrency, processors, runs, listMs }: FleetFigures): string {
  const count = machines.toLocaleString("en");
  const killed = runs.find(({ downMs }) => downMs !== undefined);
  const lostCount = runs.reduce((sum, { lost }) => sum + lost.length, 0);
  return [
    "<!-- fleet: begin -->",
    `\`npm run bench:fleet\` enrols ${count} simulated machines at one \`bmc-service\`, ${concurrency} at a time, each over TLS`,
    `connections of its own; machines, their BMCs and the service share ${processors} processor cores. A machine without remote login has`,
    "five calls, each on the disk before its answer.",
    ...(killed === undefined
      ? []
      : [
          `The service that was killed (SIGKILL) in the middle was away for ${seconds(killed.downMs ?? 0)}; ${killed.retries.toLocaleString("en")} calls were made again.`,
        ]),
    `Of all that was acknowledged, ${lostCount === 0 ? "nothing" : lostCount} was lost.`,
    "",
    "| run | enrolments a second | p50, p99 | processor time of one: service, machine | memory: middle, end | database: first half, second half |",
    "|---|---|---|---|---|---|",
    ...runs.map(row),
    ...(listMs === undefined ? [] : ["", `\`bmcctl ls\` of ${count} rows: ${listMs.toFixed(0)} ms, median of five.`]),
    "<!-- fleet: end -->",
  ].join("\n");
}

function row({ name, perSecond, p50Ms, p99Ms, serviceCpuMs, clientCpuMs, samples }: Played): string {
  const { middle, end, firstHalfBytes, secondHalfBytes } = growthOf(samples);
  const cells = [
    name,
    perSecond.toFixed(0),
    `${p50Ms.toFixed(0)} ms, ${p99Ms.toFixed(0)} ms`,
    `${serviceCpuMs.toFixed(1)} ms, ${clientCpuMs.toFixed(1)} ms`,
    `${mb(middle.residentBytes)}, ${mb(end.residentBytes)}`,
    `${kb(firstHalfBytes)}, ${kb(secondHalfBytes)} a machine`,
  ];
  return `| ${cells.join(" | ")} |`;
}

/** Bytes of the database for each machine of a half; the first sample is left out, because an empty database has a size too. */
export function growthOf(samples: readonly Sample[]): {
  readonly middle: Sample;
  readonly end: Sample;
  readonly firstHalfBytes: number;
  readonly secondHalfBytes: number;
} {
  const [start, middle, end] = [samples[0], samples[samples.length >> 1], samples.at(-1)];
  if (start === undefined || middle === undefined || end === undefined) throw new Error("no samples were taken");
  const between = (from: Sample, to: Sample) => (to.databaseBytes - from.databaseBytes) / (to.enrolled - from.enrolled);
  return { middle, end, firstHalfBytes: between(start, middle), secondHalfBytes: between(middle, end) };
}

const mb = (bytes: number) => `${(bytes / 1e6).toFixed(0)} MB`;
const kb = (bytes: number) => `${(bytes / 1e3).toFixed(1)} kB`;
const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
