import fc from "fast-check";
import { profiles } from "../simulator/profiles.ts";
import { play } from "./property-play.ts";
import { type Scenario, scenarios } from "./property-scenario.ts";

/** Those on which nothing but a fault keeps the agent from linking. */
const linking = [...profiles.values()].flatMap(({ name, expected }) => (expected === "linked" ? [name] : []));

/** Every second BMC has the strictest answers, and a counterexample has them if it can. */
const chosenProfiles: readonly string[] = [...linking.map(() => "strict"), ...linking];

export interface PropertyRuns {
  readonly count: number;
  readonly seed: number;
  /** To play one scenario of the seed again: what the failure named. */
  readonly path?: string | undefined;
}

/** What came of it. */
export interface PropertyResult {
  /** How often each outcome of a run came. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** How many scenarios were played until then. */
  readonly played: number;
  readonly failure?: PropertyFailure;
}

/** A scenario in which something was so that must never be so, made as small as it can be. */
export interface PropertyFailure {
  readonly scenario: Scenario;
  readonly path: string;
  readonly error: unknown;
}

/** Plays random scenarios, the same ones for the same seed. */
export async function checkProperties({ count, seed, path }: PropertyRuns): Promise<PropertyResult> {
  const outcomes = new Map<string, number>();
  const property = fc.asyncProperty(scenarios(chosenProfiles), async (scenario) => {
    for (const outcome of await play(scenario)) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  });
  const details = await fc.check(property, { numRuns: count, seed, ...(path === undefined ? {} : { path }) });
  const { counterexample, counterexamplePath, errorInstance: error, numRuns: played } = details;
  if (counterexample === null || counterexamplePath === null) return { outcomes, played };
  const [scenario] = counterexample;
  return { outcomes, played, failure: { scenario, path: counterexamplePath, error } };
}

/** What to do about a failure, for people. */
export function failureText({ scenario, path, error }: PropertyFailure, seed: number): string {
  const why =
    error instanceof Error ? (error.name === "Violation" ? error.message : (error.stack ?? "")) : String(error);
  return [
    why,
    `in the scenario ${JSON.stringify(scenario)}`,
    `again: npm run properties -- --seed ${seed} --path ${path}`,
  ].join("\n");
}
