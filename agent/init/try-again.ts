import type { Clock } from "../../inband/clock.ts";
import { ExitCode } from "../../proto/exit-code.ts";
import { type Console, durationText, type RunEnd } from "../console.ts";

/** The wait after the first try, ms; it doubles each time and is stretched at random by up to half. */
const firstWaitMs = 5_000;
const longestWaitMs = 300_000;

/** Failures after which another try may end better: the world around changes, or a bug met a rare moment. */
const worthAnother: ReadonlySet<number> = new Set([ExitCode.temporary, ExitCode.serviceUnavailable, ExitCode.bug]);

/** What the tries need; a test stands in for it. */
export interface TriesWorld {
  readonly clock: Pick<Clock, "sleep">;
  /** From 0 to less than 1. */
  readonly random: () => number;
  readonly console: () => Pick<Console, "note">;
  /** How many there may be; what a try reads of the configuration may change it. */
  readonly most: () => number;
}

/**
 * Tries until one ends well, ends in a way that another one would not change, or was the last one. Each has told how it ended
 * before the wait is told.
 * @param attempt throws nothing
 */
export async function tryAgain(attempt: () => Promise<RunEnd>, world: TriesWorld): Promise<RunEnd> {
  for (let tries = 1, baseMs = firstWaitMs; ; tries += 1, baseMs *= 2) {
    const ended = await attempt();
    const most = world.most();
    if (!worthAnother.has(ended.exitCode) || most === 1) return ended;
    if (tries >= most) {
      world.console().note(`no further try: that was the last of ${most} (rivet.tries)`);
      return ended;
    }
    const waitMs = Math.min(baseMs * (1 + world.random() / 2), longestWaitMs);
    world.console().note(`next try in ${durationText(waitMs)} (${tries + 1} of ${most})`);
    await world.clock.sleep(waitMs);
  }
}
