import { Machine } from "../run/machine.ts";
import { bootOverKcs } from "../run/over-kcs.ts";
import type { Profile } from "../simulator/profile.ts";
import { profiles, spec } from "../simulator/profiles.ts";

/** What the behaviour of one kind of BMC costs at a first enrolment. */
export interface QuirkFigures {
  readonly profile: string;
  /** Kind of the outcome, or "error". */
  readonly outcome: string;
  readonly commands: number;
  /** More (or fewer) of each command than on a BMC without quirks that has as many user IDs. */
  readonly difference: Readonly<Record<string, number>>;
}

/** Runs in memory, at the BMC's KCS registers: commands are what counts here, and they do not depend on the clock. */
export async function measureQuirks(): Promise<QuirkFigures[]> {
  const figures: QuirkFigures[] = [];
  for (const profile of profiles.values()) {
    const { ids } = profile.users;
    const plain = await enrol({ ...spec, users: { ...spec.users, ids } });
    const own = await enrol(profile);
    const names = new Set([...own.log, ...plain.log]);
    const counts = [...names].map((name) => [name, times(own.log, name) - times(plain.log, name)] as const);
    figures.push({
      profile: profile.name,
      outcome: own.outcome,
      commands: own.log.length,
      difference: Object.fromEntries(counts.filter(([, count]) => count !== 0).sort((a, b) => b[1] - a[1])),
    });
  }
  return figures;
}

async function enrol(profile: Profile): Promise<{ readonly outcome: string; readonly log: readonly string[] }> {
  const machine = new Machine({ profile });
  const { ended } = await bootOverKcs(machine);
  return { outcome: ended instanceof Error ? "error" : ended.kind, log: machine.bmc.log };
}

const times = (log: readonly string[], name: string) => log.filter((each) => each === name).length;
