import { stepNames } from "../../agent/step.ts";
import { wrap } from "../lab/screen.ts";
import { caseText, faultNames, faults } from "./fault.ts";
import type { Played } from "./play.ts";

/** One line of the table: all runs with that fault in that step. */
export interface Line {
  readonly fault: string;
  readonly step: string;
  readonly runs: number;
  readonly held: number;
  /** Linked in spite of the fault, or at the so-manieth boot after it. */
  readonly linkedAfterBoots: readonly number[];
  /** From the last fault until linked, ms. */
  readonly realMs: Spread;
  readonly virtualMs: Spread;
}

interface Spread {
  readonly median: number;
  readonly p99: number;
}

export interface Summary {
  readonly seed: number;
  readonly runs: number;
  /** In which at least one fault came to pass. */
  readonly faulted: number;
  readonly violations: Readonly<Record<string, number>>;
  /** Runs by how many hand-offs would have let the service in at their worst instant; the first number is of one. */
  readonly byHandOffs: readonly number[];
  /** Runs by what their BMC was like. */
  readonly byProfile: Readonly<Record<string, number>>;
  readonly lines: readonly Line[];
  readonly failures: readonly { readonly text: string; readonly repeat: string }[];
}

const several = "two or three faults";
const all = "all";

export function summarise(results: readonly Played[], seed: number): Summary {
  const faulted = results.filter(({ hits }) => hits.length > 0);
  const labels = [...faultNames.map((each): string => faults[each]), several];
  // A step that most runs do not have comes last.
  const steps = new Set([...stepNames, ...faulted.flatMap(({ hits }) => hits.map(({ step }) => step))]);
  const lines = labels.flatMap((fault) =>
    [...steps].flatMap((step) => {
      const own = faulted.filter((each) => faultOf(each) === fault && each.hits[0]?.step === step);
      return own.length === 0 ? [] : [lineOf(fault, step, own)];
    }),
  );
  const violations: Record<string, number> = { lost: 0, foreign: 0, unescrowed: 0, duplicate: 0, "not linked": 0 };
  const failures = results.flatMap(({ played, violation }) => {
    if (violation === undefined) return [];
    violations[violation.kind] = (violations[violation.kind] ?? 0) + 1;
    const text = caseText(played);
    return [{ text: `${text}: ${violation.text}`, repeat: repeatText(text, seed) }];
  });
  const total = faulted.length === 0 ? [] : [lineOf(all, "", faulted)];
  const linkable = results.filter(({ mostHandOffs }) => mostHandOffs > 0);
  const most = Math.max(1, ...linkable.map(({ mostHandOffs }) => mostHandOffs));
  const byHandOffs = Array.from(
    { length: most },
    (_, i) => linkable.filter((each) => each.mostHandOffs === i + 1).length,
  );
  const byProfile: Record<string, number> = {};
  for (const { played } of results) byProfile[played.profile] = (byProfile[played.profile] ?? 0) + 1;
  const counts = { runs: results.length, faulted: faulted.length };
  return { seed, ...counts, violations, byHandOffs, byProfile, lines: [...lines, ...total], failures };
}

function repeatText(text: string, seed: number): string {
  return `npm run chaos -- --seed ${seed} --case "${text}"`;
}

function faultOf({ hits }: Played): string {
  const [first] = hits;
  return first === undefined || hits.length > 1 ? several : faults[first.fault];
}

function lineOf(fault: string, step: string, results: readonly Played[]): Line {
  const held = results.filter(({ violation }) => violation === undefined);
  const linkedAfterBoots = [0, 1, 2, 3].map((boots) => held.filter((each) => each.boots === boots).length);
  return {
    ...{ fault, step, runs: results.length, held: held.length, linkedAfterBoots },
    realMs: spread(held.map(({ realMs }) => realMs)),
    virtualMs: spread(held.map(({ virtualMs }) => virtualMs)),
  };
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0);
  return { median: at(0.5), p99: at(0.99) };
}

const widths = [40, 24, 6, 6, 7, 6, 6, 6, 9, 9, 10, 10] as const;

/** The table for people. Times are milliseconds. */
export function summaryText(summary: Summary): string {
  const { seed, runs, faulted, violations, byHandOffs, byProfile, failures } = summary;
  const title = ["", "", "", "", "", "", "", "", "time to", "linked", "after the", "fault, ms"];
  const head = ["", "", "", "", "linked", "after", "boots", "", "real", "", "machine's", ""];
  const names = ["fault", "in step", "runs", "held", "0", "1", "2", "3", "median", "p99", "median", "p99"];
  const rows = summary.lines.map(({ fault, step, runs: count, held, linkedAfterBoots, realMs, virtualMs }) =>
    [fault, step, count, held, ...linkedAfterBoots, realMs.median, realMs.p99, virtualMs.median, virtualMs.p99].map(
      String,
    ),
  );
  const profiles = Object.entries(byProfile).sort(([, a], [, b]) => b - a);
  const counted = Object.entries(violations).map(([kind, count]) => `${count} ${kind}`);
  return [
    ...[title, head, names, ...rows].map(row),
    "",
    ...failures.flatMap(({ text, repeat }) => [text, `  again: ${repeat}`]),
    ...wrap(`kinds of BMCs: ${profiles.map(([name, count]) => `${name} in ${count} runs`).join(", ")}`, 120),
    `hand-offs to get in at the worst instant: ${byHandOffs.map((count, i) => `${i + 1} in ${count} runs`).join(", ")}`,
    `${runs} enrolments of seed ${seed}, faults in ${faulted}: ${counted.join(", ")}`,
  ].join("\n");
}

function row(cells: readonly string[]): string {
  return cells
    .map((cell, i) => (i < 2 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
    .join("")
    .trimEnd();
}
