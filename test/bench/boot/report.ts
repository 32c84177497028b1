import { durationText } from "../../lab/screen.ts";
import { plainTable, type Target } from "../report.ts";
import { type MeasuredRoad, userIds } from "./measure.ts";
import { smallMemoryMib } from "./roads.ts";
import { marks } from "./timeline.ts";

/** Everything that was measured. */
export interface BootFigures {
  readonly roads: readonly MeasuredRoad[];
  /** How often each road was booted. */
  readonly timesPerRoad: number;
  /** Of metal-rivet.img, in bytes. */
  readonly stickBytes: number;
}

/** What a road needs. */
export interface LeastMemory {
  readonly name: string;
  readonly title: string;
  /** Undefined: it was linked with none of the memories that were tried. */
  readonly leastMib: number | undefined;
}

const mostOwnMs = 4_000;
const mostStickBytes = 64e6;

/**
 * Milliseconds from the start of /init to the linkage: firmware, boot loader and kernel are not ours. Where nothing tells when /init
 * starts (the stick's ramdisk is as it is released), the agent's way to its first line is taken from `reference`.
 * @returns undefined if that is not known either
 */
export function ownPart({ median }: MeasuredRoad, reference: MeasuredRoad | undefined): number | undefined {
  const { init, linked, "first line": first } = median;
  if (linked === undefined) return undefined;
  if (init !== undefined) return linked - init;
  const { init: otherInit, "first line": otherFirst } = reference?.median ?? {};
  if (first === undefined || otherInit === undefined || otherFirst === undefined) return undefined;
  return linked - first + (otherFirst - otherInit);
}

const referenceOf = (roads: readonly MeasuredRoad[]) =>
  roads.find(({ agent, median }) => agent && median.init !== undefined);

const isLinked = ({ median, failure }: MeasuredRoad) => median.linked !== undefined && failure === undefined;

/** The targets, and whether they were reached. */
export function bootTargets({ roads, stickBytes }: BootFigures): Target[] {
  const own = roads.filter(({ agent }) => agent).flatMap((road) => ownPart(road, referenceOf(roads)) ?? []);
  const most = Math.max(...own);
  const allThere = roads.every(({ agent, failure }) => !agent || failure === undefined);
  const small = roads.filter(({ agent, memoryMib }) => agent && memoryMib === smallMemoryMib);
  return [
    {
      what: "from /init to linked, the slowest road",
      measured: own.length === 0 ? "not measured" : durationText(most),
      target: `less than ${durationText(mostOwnMs)}`,
      reached: own.length > 0 && allThere && most < mostOwnMs,
    },
    {
      what: "stick (metal-rivet.img)",
      measured: `${(stickBytes / 1e6).toFixed(1)} MB`,
      target: `less than ${mostStickBytes / 1e6} MB`,
      reached: stickBytes < mostStickBytes,
    },
    {
      what: `roads that were linked in ${smallMemoryMib} MB of memory`,
      measured:
        small.length === 0
          ? "not measured"
          : small
              .filter(isLinked)
              .map(({ name }) => name)
              .join(", "),
      target: "all but the overlay",
      reached: small.length > 0 && small.every(isLinked),
    },
  ];
}

/** For people. */
export function bootReport(figures: BootFigures): string {
  const { roads, timesPerRoad } = figures;
  const times = plainTable(["road", "memory", ...marks.map((mark) => (mark === "init" ? "/init" : mark)), "ours"]);
  const cell = (ms: number | undefined) => (ms === undefined ? "-" : durationText(ms));
  for (const road of roads) {
    const own = road.agent ? ownPart(road, referenceOf(roads)) : undefined;
    times.push([road.title, `${road.memoryMib} MB`, ...marks.map((mark) => cell(road.median[mark])), cell(own)]);
  }
  const reached = plainTable(["target", "measured", "to reach", ""]);
  for (const each of bootTargets(figures)) {
    reached.push([each.what, each.measured, each.target, each.reached ? "reached" : "MISSED"]);
  }
  return [
    `Seconds since power-on, QEMU without KVM, medians of ${timesPerRoad}; each time a machine that the service has`,
    `never seen, on ipmi_sim with ${userIds} user IDs. "ours": from the start of /init to linked, escrow, report`,
    "and the service's login from remote included. The script makes an account and tells nobody.",
    "",
    times.toString(),
    "",
    reached.toString(),
    "",
    ...roads.flatMap(({ name, failure }) => (failure === undefined ? [] : [`${name} failed: ${failure}`, ""])),
  ].join("\n");
}

/**
 * For people.
 * @param triedMib the largest first
 */
export function memoryReport(roads: readonly LeastMemory[], triedMib: readonly number[]): string {
  const table = plainTable(["road", "least memory"]);
  for (const { title, leastMib } of roads) table.push([title, leastMib === undefined ? "-" : `${leastMib} MiB`]);
  return `Least memory with which a machine is linked; tried: ${triedMib.join(", ")} MiB.\n\n${table}\n`;
}
