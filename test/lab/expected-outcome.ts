import { ExitCode } from "../../proto/exit-code.ts";
import type { ExpectedOutcome } from "../simulator/profile.ts";
import type { BootResult } from "./agent-log.ts";

/** Whether a run ended as its BMC's profile says. An error is no outcome of its own: its exit code tells. */
export function endedAs(
  expected: ExpectedOutcome,
  { outcome, exitCode }: Pick<BootResult, "outcome" | "exitCode">,
): boolean {
  return expected === "not ready" ? outcome === "error" && exitCode === ExitCode.temporary : outcome === expected;
}
