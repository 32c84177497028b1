import { chooseCases, type Instants } from "./cases.ts";
import type { Doubles } from "./chaos-machine.ts";
import { beginnings, type Case } from "./fault.ts";
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
  lanes,
  doubles = {},
  onPlayed,
  stop,
  ...site
}: Campaign): Promise<Played[]> {
  const results: Played[] = [];
  await using first = new Lane(await Site.open(site), site);
  const cases = only === undefined ? chooseCases(await learnInstants(first, seed), runs, seed) : [only];
  const left = cases.values();
  const work = async (lane: Lane) => {
    for (const each of left) {
      if (stop?.aborted) return;
      const played = await lane.play(each, seed, doubles);
      results.push(played);
      onPlayed?.(played);
    }
  };
  const more = Math.min(lanes, cases.length) - 1;
  const others = Array.from({ length: Math.max(0, more) }, async () => {
    await using lane = new Lane(await Site.open(site), site);
    await work(lane);
  });
  await Promise.all([work(first), ...others]);
  return results;
}

/** Each instant of a run in which nothing goes wrong. */
async function learnInstants(lane: Lane, seed: number): Promise<Instants> {
  const instants: Partial<Record<(typeof beginnings)[number], string[]>> = {};
  for (const beginning of beginnings) {
    const played = await lane.play({ beginning, ownProcess: false, faults: [] }, seed, {});
    if (played.violation !== undefined) throw new Error(`nothing went wrong, but: ${played.violation.text}`);
    instants[beginning] = played.instants.map(({ at }) => at);
  }
  return instants as Instants;
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
