import type { Settings } from "./config/settings.ts";
import type { Console, RunEnd } from "./console.ts";
import { explainFailure } from "./failure.ts";
import { describeOutcome, exitCodeOf, type Outcome } from "./outcome.ts";
import { makeStep, type StepEvent } from "./step.ts";
import type { World } from "./world.ts";

/** The whole run took longer than the key `limit` allows. Exit code 75. */
export class RunLimitError extends Error {
  override readonly name = "RunLimitError";
  readonly code = "run-limit";

  readonly limitMs: number;

  /** @param trouble what was waited for then, for people */
  constructor(limitMs: number, trouble?: string) {
    const limit = `the run took longer than its limit of ${limitMs / 1000} s (key \`limit\`); run again or give it more time`;
    super(trouble === undefined ? limit : `${trouble}; ${limit}`);
    this.limitMs = limitMs;
  }
}

/** Does `work`, which tells why it has to wait: if the limit of the whole run ends it, the error says so. */
export async function sayingTrouble<T>(work: (onTrouble: (trouble: string) => void) => Promise<T>): Promise<T> {
  let last: string | undefined;
  try {
    return await work((trouble) => {
      last = trouble;
    });
  } catch (error) {
    throw error instanceof RunLimitError && last !== undefined ? new RunLimitError(error.limitMs, last) : error;
  }
}

/**
 * Does the run within the time that the settings give it.
 * @param ends ends the run early, with its reason
 * @throws StepError; its cause is RunLimitError when the time was over
 */
export async function limitedRun(
  limitMs: number,
  world: World,
  onEvent: (event: StepEvent) => void,
  ends?: AbortSignal,
): Promise<Outcome> {
  const { run } = await import("./run.ts");
  const limit = new AbortController();
  const over = new AbortController();
  world.clock.sleep(limitMs, over.signal).then(
    () => limit.abort(new RunLimitError(limitMs)),
    () => undefined,
  );
  const signal = ends === undefined ? limit.signal : AbortSignal.any([limit.signal, ends]);
  try {
    return await run(world, makeStep({ clock: world.clock, onEvent, signal }), signal);
  } finally {
    over.abort();
  }
}

/**
 * Does the run in the given world and says on the console how it goes and how it ended. Throws nothing.
 * @param ends ends the run early, with its reason
 */
export async function performRun(
  { limitMs }: Pick<Settings, "limitMs">,
  console: Pick<Console, "step" | "end">,
  world: World,
  ends?: AbortSignal,
): Promise<RunEnd> {
  const startedAt = performance.now();
  let ended: RunEnd;
  try {
    const outcome = await limitedRun(limitMs, world, (event) => console.step(event), ends);
    ended = outcomeEnd(outcome, startedAt);
  } catch (error) {
    ended = failedEnd(error, startedAt);
  }
  console.end(ended);
  return ended;
}

/** The end of a run that came to an outcome. `startedAt` as performance.now() told it. */
export function outcomeEnd(outcome: Outcome, startedAt: number): RunEnd {
  return {
    outcome: outcome.kind,
    exitCode: exitCodeOf(outcome),
    text: describeOutcome(outcome),
    durationMs: performance.now() - startedAt,
    ipmiCommands: outcome.ipmi.commands,
    machineUuid: outcome.machineUuid,
    ...bmcOf(outcome),
  };
}

function bmcOf(outcome: Outcome): Pick<RunEnd, "bmc"> {
  if ("bmc" in outcome) return { bmc: outcome.bmc };
  return "mac" in outcome ? { bmc: { mac: outcome.mac } } : {};
}

/** The end of a run that failed, or did not even begin. `startedAt` as performance.now() told it. */
export function failedEnd(error: unknown, startedAt: number): RunEnd {
  const durationMs = performance.now() - startedAt;
  return { outcome: "error", ...explainFailure(error), durationMs, ...(error instanceof Error ? { error } : {}) };
}
