import type { Settings } from "./config/settings.ts";
import type { Console, RunEnd } from "./console.ts";
import { explainFailure } from "./failure.ts";
import { describeOutcome, exitCodeOf, type Outcome } from "./outcome.ts";
import { makeStep } from "./step.ts";
import type { World } from "./world.ts";

/** The whole run took longer than the key `limit` allows. Exit code 75. */
export class RunLimitError extends Error {
  override readonly name = "RunLimitError";
  readonly code = "run-limit";

  constructor(limitMs: number) {
    super(`the run took longer than its limit of ${limitMs / 1000} s (key \`limit\`); run again or give it more time`);
  }
}

/** Does the run in the given world and says on the console how it goes and how it ended. Throws nothing. */
export async function performRun(settings: Settings, console: Console, world: World): Promise<RunEnd> {
  const startedAt = performance.now();
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(new RunLimitError(settings.limitMs)), settings.limitMs);
  let ended: RunEnd;
  try {
    const { run } = await import("./run.ts");
    const step = makeStep({ clock: world.clock, onEvent: (event) => console.step(event), signal: limit.signal });
    const outcome: Outcome = await run(world, step);
    ended = {
      outcome: outcome.kind,
      exitCode: exitCodeOf(outcome),
      text: describeOutcome(outcome),
      durationMs: performance.now() - startedAt,
      ipmiCommands: outcome.ipmi.commands,
    };
  } catch (error) {
    ended = failedEnd(error, startedAt);
  } finally {
    clearTimeout(timer);
  }
  console.end(ended);
  return ended;
}

/** The end of a run that failed, or did not even begin. `startedAt` as performance.now() told it. */
export function failedEnd(error: unknown, startedAt: number): RunEnd {
  return { outcome: "error", ...explainFailure(error), durationMs: performance.now() - startedAt };
}
