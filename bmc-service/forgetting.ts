import { setImmediate as turn } from "node:timers/promises";
import type { Logger } from "pino";
import type { Forgotten } from "./store/forget.ts";
import type { Store } from "./store/store.ts";

/** How long what nobody needs is kept, ms. */
export interface KeepTimes {
  /** Rows that no remote login has ever proved and that have no account left to try. */
  readonly unprovedMs: number;
  /** Conflicts, after they were made for the last time or decided. */
  readonly conflictsMs: number;
}

/** Machines that have begun and told nothing more, ms. */
const begunMs = 86_400_000;
const everyMs = 600_000;
/** So long after the start, and after the clock was set, nothing is forgotten, ms: by a clock that is far ahead everything is old. */
const trustMs = 3_600_000;
/** By so much a clock goes ahead or back only when it is set, ms. */
const jumpMs = 60_000;

/** Forgets from time to time what is older, a little at a time so that calls come in between; until it is disposed. */
export function startForgetting(store: Store, keep: KeepTimes, log: Logger): Disposable {
  const stopped = new AbortController();
  const forgetAll = async () => {
    const total = { sessions: 0, rows: 0, machines: 0, conflicts: 0 };
    while (!stopped.signal.aborted) {
      const now = Date.now();
      const ago = (ms: number) => new Date(now - ms);
      const before = { unproved: ago(keep.unprovedMs), begun: ago(begunMs), conflicts: ago(keep.conflictsMs) };
      const forgotten = await store.forget(before, new Date(now));
      for (const kind of Object.keys(total) as (keyof Forgotten)[]) total[kind] += forgotten[kind];
      if (Object.values(forgotten).every((number) => number === 0)) break;
      await turn();
    }
    if (total.rows + total.machines + total.conflicts > 0) log.info(total, "forgotten: too old, and never proved");
  };
  const tell = (error: unknown) => {
    if (!stopped.signal.aborted) log.error({ err: error }, "old rows could not be forgotten; tried again later");
  };
  const isTrusted = watchClock();
  const forgetting = () => {
    if (isTrusted()) forgetAll().catch(tell);
  };
  const timer = setInterval(forgetting, everyMs).unref();
  return {
    [Symbol.dispose]() {
      stopped.abort();
      clearInterval(timer);
    },
  };
}

/** @returns tells whether the clock has gone evenly for long enough that somebody would have seen that it is wrong */
function watchClock(): () => boolean {
  const offsetMs = () => Date.now() - performance.now();
  let known = offsetMs();
  let trustedFrom = performance.now() + trustMs;
  return () => {
    if (Math.abs(offsetMs() - known) > jumpMs) {
      known = offsetMs();
      trustedFrom = performance.now() + trustMs;
    }
    return performance.now() >= trustedFrom;
  };
}
