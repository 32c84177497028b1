import { existsSync } from "node:fs";
import { type Clock, systemClock } from "../../inband/clock.ts";
import type { Console } from "../console.ts";

/** What the wait for the BMC's device node touches; a test stands in for it. */
export interface IpmiDeviceWorld {
  readonly clock: Clock;
  /** Whether /dev/ipmi0 is there. */
  readonly isThere: () => boolean;
  /** Has the drivers look for the BMC once more; a BMC that says nothing holds them for half a minute. */
  readonly probeAgain: () => void;
  /** Who says that there is a BMC: "SMBIOS". */
  readonly namedBy: string;
  /** For the BMC to show up, in milliseconds. */
  readonly limitMs: number;
}

export const realIpmiDeviceWorld = { clock: systemClock, isThere: () => existsSync("/dev/ipmi0") } as const;

/** How long the node may take to appear after a probe: SSIF is probed by a thread. */
const appearsWithinMs = 5_000;

/**
 * Waits for the device node of a BMC that firmware or operator name. The drivers look for it when they load: one that was booting
 * at that moment is missed for good, so they are made to look again until the limit.
 */
export async function waitForIpmiDevice(world: IpmiDeviceWorld, console: Pick<Console, "note">): Promise<void> {
  const { clock, isThere, probeAgain, limitMs, namedBy } = world;
  const startedAt = clock.now();
  for (let probes = 1; ; probes++) {
    const probedAt = clock.now();
    for (let pauseMs = 5; clock.now() - probedAt < appearsWithinMs; pauseMs = Math.min(pauseMs * 2, 100)) {
      if (isThere()) return;
      await clock.sleep(pauseMs);
    }
    if (clock.now() - startedAt >= limitMs) {
      console.note(`${namedBy} names a BMC, but the kernel found none within ${limitMs / 1000} s`);
      return;
    }
    if (probes === 1) {
      console.note(
        `${namedBy} names a BMC, but the kernel finds none; it may be booting: looking for at most ${limitMs / 1000} s`,
      );
    }
    probeAgain();
  }
}
