import { exitReason } from "../../lab/machine.ts";
import { openSite } from "../in-vm.ts";
import { median } from "../natively.ts";
import type { BootImages, Road } from "./roads.ts";
import { type Mark, markOf, marks, type Timeline } from "./timeline.ts";

/** A road, measured. */
export interface MeasuredRoad {
  readonly name: string;
  readonly title: string;
  readonly agent: boolean;
  readonly memoryMib: number;
  readonly runs: readonly Timeline[];
  /** Why a boot did not get to the road's end; it is not tried again then. */
  readonly failure?: string;
  /** The median of each mark by itself. */
  readonly median: Timeline;
}

/** What most servers have. */
export const userIds = 16;
/** A boot under emulation. */
const bootLimitMs = 240_000;
/** A machine with too little memory can hang instead of saying so. */
const smallBootLimitMs = 90_000;

/**
 * Boots a machine of its own, with a BMC and a service that have never seen it, so many times.
 * @returns with `failure` if a boot does not get to the road's end, or its run ends with anything but success
 * @throws the signal's reason
 */
export async function measureRoad(
  road: Road,
  images: BootImages,
  times: number,
  signal: AbortSignal,
): Promise<MeasuredRoad> {
  const runs: Timeline[] = [];
  let failure: string | undefined;
  for (let run = 0; run < times && failure === undefined; run += 1) {
    try {
      runs.push(await bootOnce(road, images, signal));
    } catch (error) {
      signal.throwIfAborted();
      failure = error instanceof Error ? error.message : String(error);
    }
  }
  const { name, title, agent, memoryMib } = road;
  const measured = { name, title, agent, memoryMib, runs, median: medians(runs) };
  return failure === undefined ? measured : { ...measured, failure };
}

export function medians(runs: readonly Timeline[]): Timeline {
  const each = marks.map((mark) => [mark, runs.flatMap((run) => run[mark] ?? [])] as const);
  return Object.fromEntries(each.filter(([, times]) => times.length > 0).map(([mark, times]) => [mark, median(times)]));
}

/**
 * The least of these memories with which a machine is linked by a road.
 * @param memoriesMib the largest first; a smaller one is tried only where that was enough
 * @returns undefined: none of them
 * @throws the signal's reason
 */
export async function leastMemory(
  road: Road,
  images: BootImages,
  memoriesMib: readonly number[],
  signal: AbortSignal,
): Promise<number | undefined> {
  let least: number | undefined;
  for (const memoryMib of memoriesMib) {
    try {
      await bootOnce({ ...road, memoryMib }, images, signal, smallBootLimitMs);
    } catch {
      signal.throwIfAborted();
      break;
    }
    least = memoryMib;
  }
  return least;
}

async function bootOnce(road: Road, images: BootImages, signal: AbortSignal, limitMs = bootLimitMs): Promise<Timeline> {
  const { kernel, initramfs } = images;
  await using around = new AsyncDisposableStack();
  const { machine: more, prepare } = await road.begin(images, around);
  await using site = await openSite({ kernel, initramfs, memoryMib: road.memoryMib, userIds, signal, machine: more });
  const commandLine = await prepare(site);
  const { machine } = site;
  const timeline: Partial<Record<Mark, number>> = {};
  const started = performance.now();
  await machine.powerOn(commandLine);
  await machine.console.waitFor(
    `${road.name} to get to "${road.until}"`,
    limitMs,
    (line) => {
      const seen = markOf(line);
      if (seen === undefined) return undefined;
      if (seen.ending !== undefined && (seen.ending.exitCode !== 0 || seen.ending.outcome !== "linked")) {
        throw new Error(`${road.name}: the run ended with "${seen.ending.outcome}": ${seen.ending.text}`);
      }
      timeline[seen.mark] ??= Math.round(performance.now() - started);
      return seen.mark === road.until ? true : undefined;
    },
    { signal, ended: () => exitReason(machine) },
  );
  return timeline;
}
