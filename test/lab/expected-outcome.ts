import { ExitCode } from "../../proto/exit-code.ts";
import type { ExpectedOutcome } from "../simulator/profile.ts";
import type { BootResult } from "./agent-log.ts";

/** How the first run on a machine has to end: as its BMC's profile says, or without a BMC. */
export type MachineOutcome = ExpectedOutcome | "unmanaged";

/** Whether a run ended like that. An error is no outcome of its own: its exit code tells. */
export function endedAs(
  expected: MachineOutcome,
  { outcome, exitCode }: Pick<BootResult, "outcome" | "exitCode">,
): boolean {
  switch (expected) {
    case "not ready":
      return outcome === "error" && exitCode === ExitCode.temporary;
    case "no free slot":
    case "linked":
    case "unmanaged":
    case "locked":
    case "failed":
      return outcome === expected;
    default:
      return expected satisfies never;
  }
}
