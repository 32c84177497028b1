import { AccountState, State } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { Random } from "../fuzz/random.ts";
import { knownProfile } from "../simulator/known-profile.ts";
import type { Doubles } from "./agent-run.ts";
import { ChaosMachine, type Ran } from "./chaos-machine.ts";
import { type Beginning, type Case, caseText } from "./fault.ts";
import { Violation, type ViolationKind } from "./invariants.ts";
import type { Site } from "./site.ts";
import type { Hit } from "./trouble.ts";

/** The boots that brought a machine to where it begins: whether each gave it a new account. */
const bootsBefore: Readonly<Record<Beginning, readonly boolean[]>> = {
  first: [],
  rotation: [false],
  known: [false],
  orphan: [],
  orphans: [],
  rotated: [false, true],
  remote: [false],
  token: [],
};

/** User IDs of the accounts of ours that the service does not know. */
const orphanSlots: Readonly<Record<Beginning, readonly number[]>> = {
  first: [],
  rotation: [],
  known: [],
  orphan: [8],
  orphans: [8, 9],
  rotated: [8],
  remote: [],
  token: [],
};

/** After so many boots, or rotations, without faults a machine must be linked. */
const mostBoots = 3;

/** What came of a case. */
export interface Played {
  readonly played: Case;
  /** Faults that came to pass; none if the run ended before. */
  readonly hits: readonly Hit[];
  /** Boots, or rotations, without faults until it was linked; 0 if the run linked in spite of all. */
  readonly boots: number;
  /** From the last fault until the machine was linked, ms: real time and the machine's. */
  readonly realMs: number;
  readonly virtualMs: number;
  readonly instants: Ran["instants"];
  /** At the worst instant: so many hand-offs would have found the login that opens the BMC. */
  readonly mostHandOffs: number;
  readonly violation?: { readonly kind: ViolationKind; readonly text: string };
}

/**
 * Plays one case: brings the machine to where it begins, lets the faults come, heals everything, and boots until it is
 * linked.
 * @throws what is no violation but a bug, of the agent or of this harness
 */
export async function play(
  site: Site,
  mac: string,
  played: Case,
  seed: number,
  doubles: Doubles = {},
): Promise<Played> {
  const random = new Random(seed, caseText(played));
  const profile = knownProfile(played.profile);
  const machine = new ChaosMachine(site, {
    profile,
    mac,
    randomBelow: (below) => random.below(below),
    doubles,
    withToken: played.beginning === "token",
  });
  const hits: Hit[] = [];
  let instants: Ran["instants"] = [];
  let boots = 0;
  const result = (violation?: Played["violation"]): Played => {
    const last = hits.at(-1);
    const realMs = last === undefined ? 0 : performance.now() - last.realMs;
    const virtualMs = last === undefined ? 0 : machine.clock.now() - last.virtualMs;
    const { mostHandOffs } = machine.invariants;
    return { played, hits, boots, realMs, virtualMs, instants, mostHandOffs, ...(violation && { violation }) };
  };
  try {
    const orphans = orphanSlots[played.beginning];
    for (const rotate of bootsBefore[played.beginning]) {
      if ((await machine.boot({ rotate, faults: [] })).linked) continue;
      throw new Violation("not linked", "a boot before the first fault did not link");
    }
    for (const slot of orphans) machine.leaveOrphan(slot);
    const made = site.disk.accounts(mac).length;
    // A machine that is left alone looks for nobody's accounts: a new one is asked for until there is one.
    const isAskedFor = (number: number) =>
      played.beginning === "rotated"
        ? site.disk.accounts(mac).length === made
        : played.beginning === "rotation" && number === 0;
    const runOnce = (number: number, faults: Case["faults"]) =>
      played.beginning === "remote"
        ? machine.rotateFromRemote(faults)
        : machine.boot({ rotate: isAskedFor(number), faults, ownProcess: played.ownProcess && faults.length > 0 });
    const faulty = 1 + Math.max(0, ...played.faults.map(({ boot }) => boot));
    let ran: Ran | undefined;
    for (let number = 0; number < faulty; number += 1) {
      const faults = played.faults.filter(({ boot }) => boot === number);
      ran = await runOnce(number, faults);
      instants = [...instants, ...ran.instants];
      hits.push(...ran.hits);
      await site.heal();
      machine.invariants.check("when all was well again");
    }
    while (ran?.linked !== true) {
      if (boots === mostBoots) throw new Violation("not linked", `not linked after ${boots} boots: ${endText(ran)}`);
      boots += 1;
      ran = await runOnce(faulty, []);
    }
    const linked = result();
    // A run that could not close them is linked all the same: it is for the next one to do. And a machine whose account was
    // rotated from remote does not notice.
    if (orphans.length > 0 || played.beginning === "remote") {
      const last = await machine.boot({ rotate: false, faults: [] });
      if (!last.linked) throw new Violation("not linked", `not linked by one more boot: ${endText(last)}`);
    }
    checkEnd(machine, site);
    return linked;
  } catch (error) {
    await site.heal();
    if (!(error instanceof Violation)) throw error;
    return result({ kind: error.kind, text: error.message });
  }
}

function endText(ran: Ran | undefined): string {
  const ended = ran?.ended;
  if (ended instanceof Error) return ended.message;
  return ended === undefined ? "" : `${ended.kind}${"reason" in ended ? `: ${ended.reason}` : ""}`;
}

function checkEnd({ invariants, mac }: ChaosMachine, { disk }: Site): void {
  invariants.check("in the end");
  invariants.checkLinked("in the end");
  const state = disk.row(mac)?.state;
  if (state !== State.STATE_LINKED) throw new Violation("not linked", `the service's row has state ${state}`);
  const verified = disk.accounts(mac).filter((each) => each.state === AccountState.ACCOUNT_STATE_VERIFIED);
  if (verified.length !== 1) {
    throw new Violation("duplicate", `the service has ${verified.length} verified accounts`);
  }
}
