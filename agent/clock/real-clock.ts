import { setSystemTime } from "../init/libc.ts";
import type { ClockWorld } from "./correct-clock.ts";
import { type TimeHints, timeSources } from "./time-sources.ts";

/** The clock of this machine. Setting it needs root; the hardware's clock is left as it is. */
export function realClock(hints: TimeHints, note: (text: string) => void, whose = "The service's"): ClockWorld {
  return { sources: timeSources(hints), now: () => new Date(), set: setSystemTime, note, whose };
}
