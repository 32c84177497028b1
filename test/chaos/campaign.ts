import type { Doubles } from "./agent-run.ts";
import { chooseCases, chooseProfiles, type InstantsByProfile } from "./cases.ts";
import { type Beginning, beginnings, type Case, caseText, type Instant } from "./fault.ts";
import { type Played, play } from "./play.ts";
import { Site, type SiteOptions } from "./site.ts";

export interface Campaign extends SiteOptions {
  readonly runs: number;
  readonly seed: number;
  /** Only this one. */
  readonly only?: Case | undefined;
  /** Cases that are played at the same time, each at a service of its own. */
  readonly lanes: number;
  readonly doubles?: Doubles;
  readonly onPlayed?: (played: Played) => void;
  /** Lets no further case begin. */
  readonly stop?: AbortSignal;
}

/** Plays what was asked for, to the end, whatever breaks. */
export async function playCampaign({
  runs,
  seed,
  only,
  lanes: count,
  doubles = {},
  onPlayed,
  stop,
  ...site
}: Campaign): Promise<Played[]> {
  await using stack = new AsyncDisposableStack();
  const openLanes = Array.from({ length: only === undefined ? count : 1 }, async () =>
    stack.use(new Lane(await Site.open(site), site)),
  );
  const lanes = await Promise.all(openLanes);
  const results: Played[] = [];
  const cases = only === undefined ? chooseCases(await learnInstants(lanes, runs, seed, stop), runs, seed) : [only];
  await share(lanes, cases, stop, async (lane, each) => {
    const played = await lane.play(each, seed, doubles);
    results.push(played);
    onPlayed?.(played);
  });
  return results;
}

/** Each instant of a run in which nothing goes wrong, on each kind of BMC. */
async function learnInstants(
  lanes: readonly Lane[],
  runs: number,
  seed: number,
  stop: AbortSignal | undefined,
): Promise<InstantsByProfile> {
  const profiles = chooseProfiles(runs, seed);
  const learnt = new Map<string, Record<Beginning, readonly Instant[]>>();
  for (const profile of profiles) {
    learnt.set(profile, {
      first: [],
      rotation: [],
      known: [],
      orphan: [],
      orphans: [],
      rotated: [],
      remote: [],
      token: [],
    });
  }
  const undisturbed = profiles.flatMap((profile) =>
    beginnings.map((beginning): Case => ({ beginning, profile, ownProcess: false, faults: [] })),
  );
  await share(lanes, undisturbed, stop, async (lane, each) => {
    const played = await lane.play(each, seed, {});
    if (played.violation !== undefined) {
      throw new Error(`${caseText(each)}: nothing went wrong, but: ${played.violation.text}`);
    }
    Object.assign(learnt.get(each.profile) ?? {}, { [each.beginning]: played.instants.map(({ at }) => at) });
  });
  return learnt;
}

/** Does the work for each, on as many lanes as there are. */
async function share<T>(
  lanes: readonly Lane[],
  all: readonly T[],
  stop: AbortSignal | undefined,
  work: (lane: Lane, each: T) => Promise<void>,
): Promise<void> {
  const left = all.values();
  const workOn = async (lane: Lane) => {
    for (const each of left) {
      if (stop?.aborted) return;
      await work(lane, each);
    }
  };
  await Promise.all(lanes.map(workOn));
}

/** One site after the other: each has its fill of machines. */
class Lane implements AsyncDisposable {
  readonly #options: SiteOptions;
  #site: Site;

  constructor(site: Site, options: SiteOptions) {
    this.#site = site;
    this.#options = options;
  }

  async play(each: Case, seed: number, doubles: Doubles): Promise<Played> {
    let mac = this.#site.nextMac();
    if (mac === undefined) {
      await this.#site[Symbol.asyncDispose]();
      this.#site = await Site.open(this.#options);
      mac = this.#site.nextMac();
    }
    return await play(this.#site, mac ?? "", each, seed, doubles);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#site[Symbol.asyncDispose]();
  }
}
