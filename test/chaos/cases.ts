import { Random } from "../fuzz/random.ts";
import {
  type Beginning,
  beginnings,
  type Case,
  faultsOf,
  type Instant,
  mainProfile,
  type PlacedFault,
  profileNames,
} from "./fault.ts";

/** The instants of a run in which nothing goes wrong, by how the machine stood before. */
export type Instants = Readonly<Record<Beginning, readonly Instant[]>>;

/** The same for each kind of BMC, by the name of its profile. The main one is among them. */
export type InstantsByProfile = ReadonlyMap<string, Instants>;

/** One of so many agents is a process of its own, which is killed: starting one takes half a second. */
const processShare = 50;

/** A further kind of BMC for so many runs: each costs one run for each beginning until its instants are known. */
const runsPerProfile = 60;

/** The kinds of BMCs in a campaign of so many runs. The same for the same seed. */
export function chooseProfiles(runs: number, seed: number): string[] {
  const others = profileNames.filter((each) => each !== mainProfile);
  return [mainProfile, ...shuffled(others, new Random(seed, "profiles")).slice(0, Math.floor(runs / runsPerProfile))];
}

/** Every fault at every instant. */
export function systematicCases(profile: string, instants: Instants): Case[] {
  return beginnings.flatMap((beginning) =>
    instants[beginning].flatMap((at) =>
      faultsOf(beginning).map((fault) => ({ beginning, profile, ownProcess: false, faults: [{ fault, at, boot: 0 }] })),
    ),
  );
}

/** Two or three faults: in one run, or each in a run that was to mend what the one before had done. */
export function randomCase(instants: InstantsByProfile, random: Random): Case {
  const { profile, own } = pickProfile(instants, random);
  const beginning = random.pick(beginnings);
  const count = 2 + (random.below(4) === 0 ? 1 : 0);
  const faults = Array.from({ length: count }, (_, i): PlacedFault => {
    const boot = i === 0 ? 0 : random.below(i + 1);
    // A later boot makes a new account more often than not.
    const during = boot === 0 || beginning === "remote" ? beginning : "rotation";
    return { fault: random.pick(faultsOf(beginning)), at: random.pick(own[during]), boot };
  });
  return { beginning, profile, ownProcess: false, faults };
}

/** An agent in a process of its own that is killed. */
function processCase(instants: InstantsByProfile, random: Random): Case {
  const { profile, own } = pickProfile(instants, random);
  const beginning = random.pick(beginnings.filter((each) => each !== "remote"));
  const faults: PlacedFault[] = [{ fault: "agent-killed", at: random.pick(own[beginning]), boot: 0 }];
  return { beginning, profile, ownProcess: true, faults };
}

/** The main one as often as all others together. */
function pickProfile(instants: InstantsByProfile, random: Random): { profile: string; own: Instants } {
  const names = [...instants.keys()];
  const others = names.filter((each) => each !== mainProfile);
  const profile = others.length === 0 || random.below(2) === 0 ? mainProfile : random.pick(others);
  const own = instants.get(profile);
  if (own === undefined) throw new RangeError(`the instants of ${profile} are not known`);
  return { profile, own };
}

/**
 * So many cases: all systematic ones and then random ones, or, if that is more than wanted, some of the systematic ones and a
 * random one for every four of them. The main kind of BMC has every second one. The same for the same seed.
 */
export function chooseCases(instants: InstantsByProfile, runs: number, seed: number): Case[] {
  const random = new Random(seed, "cases");
  const all = [...instants].map(([profile, own]) => systematicCases(profile, own));
  const isMain = ([first]: Case[]) => first?.profile === mainProfile;
  const main = shuffled(all.filter(isMain).flat(), random);
  const others = shuffled(all.filter((each) => !isMain(each)).flat(), random);
  const systematic = Array.from({ length: Math.max(main.length, others.length) }, (_, i) => [main[i], others[i]])
    .flat()
    .filter((each) => each !== undefined);
  const taken = systematic.slice(0, Math.max(Math.ceil(runs * 0.8), runs - systematic.length));
  const rest = Array.from({ length: Math.max(0, runs - taken.length) }, () => randomCase(instants, random));
  return shuffled([...taken, ...rest], random).map((each, i) =>
    i % processShare === processShare - 1 ? processCase(instants, random) : each,
  );
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  return list
    .map((value) => ({ value, order: random.uint32() }))
    .sort((a, b) => a.order - b.order)
    .map(({ value }) => value);
}
