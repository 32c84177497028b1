import { expect, test } from "vitest";
import { parseFleetOptions } from "./options.ts";
import type { Played } from "./play.ts";
import { type FleetFigures, growthOf, markdown, targets } from "./report.ts";

/** Memory and size of the database when so many machines were enrolled. */
const sample = (enrolled: number, residentMb: number, databaseKb: number) => ({
  enrolled,
  residentBytes: residentMb * 1e6,
  databaseBytes: databaseKb * 1e3,
});
const good = [sample(500, 180, 7_000), sample(5_000, 200, 29_500), sample(10_000, 205, 54_500)];

function figures(changed: Partial<Played> = {}, listMs = 400): FleetFigures {
  const played: Played = {
    name: "shared certificate",
    machines: 10_000,
    perSecond: 250,
    p50Ms: 120,
    p99Ms: 200,
    serviceCpuMs: 3.5,
    clientCpuMs: 3,
    samples: good,
    downMs: undefined,
    retries: 0,
    lost: [],
    ...changed,
  };
  return { machines: 10_000, concurrency: 32, processors: 2, runs: [played], listMs };
}
const missed = (all: FleetFigures) => targets(all).flatMap(({ what, reached }) => (reached ? [] : what));

test("targets are reached", () => {
  expect(missed(figures())).toEqual([]);
  const growsLess = [...good.slice(0, 2), sample(10_000, 205, 40_000)];
  expect(missed(figures({ samples: growsLess }))).toEqual([]);
});

test.each<[string, FleetFigures]>([
  ["lost, all runs", figures({ lost: ["52:54:00:00:00:01: there is no such row"] })],
  ["enrolments a second, without remote login", figures({ perSecond: 199 })],
  ["memory at the end, shared certificate", figures({ samples: [...good.slice(0, 2), sample(10_000, 240, 54_500)] })],
  [
    "database of the second half, shared certificate",
    figures({ samples: [...good.slice(0, 2), sample(10_000, 205, 60_000)] }),
  ],
  ["bmcctl ls of 10,000 rows", figures({}, 500)],
])("missed: %s", (what, all) => {
  expect(missed(all)).toEqual([what]);
});

test("a service that was killed has no memory to compare", () => {
  const samples = [...good.slice(0, 2), sample(10_000, 400, 54_500)];
  expect(missed(figures({ name: "remote login, killed", downMs: 900, samples }))).toEqual([]);
});

test("the growth of an empty database is not that of its machines", () => {
  expect(growthOf(good)).toMatchObject({ firstHalfBytes: 5_000, secondHalfBytes: 5_000 });
});

test("the README gets a table between two comments", () => {
  const lines = markdown(figures()).split("\n");
  expect([lines[0], lines.at(-1)]).toEqual(["<!-- fleet: begin -->", "<!-- fleet: end -->"]);
  expect(lines).toContain(
    "| shared certificate | 250 | 120 ms, 200 ms | 3.5 ms, 3.0 ms | 200 MB, 205 MB | 5.0 kB, 5.0 kB a machine |",
  );
  expect(markdown(figures())).toContain("nothing was lost");
  expect(markdown(figures({ lost: ["x"] }))).toContain("1 was lost");
});

test("all runs are asked for unless one kind is", () => {
  expect(parseFleetOptions([])).toMatchObject({ machines: 10_000, concurrency: 32, output: "table" });
  expect([[], ["--remote"], ["--no-remote"]].map((args) => parseFleetOptions(args).remote)).toEqual([
    undefined,
    true,
    false,
  ]);
});
