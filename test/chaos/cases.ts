import { Random } from "../fuzz/random.ts";
import { type Beginning, beginnings, type Case, faultNames, type Instant, type PlacedFault } from "./fault.ts";

/** The instants of a run in which nothing goes wrong, by how the machine stood before. */
export type Instants = Readonly<Record<Beginning, readonly Instant[]>>;

const harmful = faultNames.filter((each) => each !== "none");

/** One of so many agents is a process of its own, which is killed: starting one takes half a second. */
const processShare = 50;

/** Every fault at every instant. */
export function systematicCases(instants: Instants): Case[] {
  return beginnings.flatMap((beginning) =>
    instants[beginning].flatMap((at) =>
      harmful.map((fault) => ({ beginning, ownProcess: false, faults: [{ fault, at, boot: 0 }] })),
    ),
  );
}

/** Two or three faults: in one run, or each in a run that was to mend what the one before had done. */
export function randomCase(instants: Instants, random: Random): Case {
  const beginning = random.pick(beginnings);
  const count = 2 + (random.below(4) === 0 ? 1 : 0);
  const faults = Array.from({ length: count }, (_, i): PlacedFault => {
    const boot = i === 0 ? 0 : random.below(i + 1);
    // A later boot makes a new account more often than not.
    const during = boot === 0 ? beginning : "rotation";
    return { fault: random.pick(harmful), at: random.pick(instants[during]), boot };
  });
  return { beginning, ownProcess: false, faults };
}

/** An agent in a process of its own that is killed. */
function processCase(instants: Instants, random: Random): Case {
  const beginning = random.pick(beginnings);
  const faults: PlacedFault[] = [{ fault: "agent-killed", at: random.pick(instants[beginning]), boot: 0 }];
  return { beginning, ownProcess: true, faults };
}

/**
 * So many cases: all systematic ones and then random ones, or, if that is more than wanted, some of the systematic ones and a
 * random one for every four of them. The same for the same seed.
 */
export function chooseCases(instants: Instants, runs: number, seed: number): Case[] {
  const random = new Random(seed, "cases");
  const systematic = shuffled(systematicCases(instants), random);
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
