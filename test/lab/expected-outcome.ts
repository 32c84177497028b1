import { ExitCode } from "../../proto/exit-code.ts";
import type { ExpectedOutcome } from "../simulator/profile.ts";
import type { BootResult } from "./agent-log.ts";

/** Whether a run ended as its BMC's profile says. An error is no outcome of its own: its exit code tells. */
export function endedAs(
  expected: ExpectedOutcome,
  { outcome, exitCode }: Pick<BootResult, "outcome" | "exitCode">,
): boolean {
  switch (expected) {
    case "not ready":
      return outcome === "error" && exitCode === ExitCode.temporary;
    case "no free slot":
    case "linked":
    case "locked":
    case "failed":
      return outcome === expected;
    default:
      return expected satisfies never;
  }
}
