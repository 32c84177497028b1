import type { Arrival } from "./commands/handler.ts";
import type { AccessProfile } from "./profile.ts";

/** A command as network function and number: "06/45". */
function name({ netFn, cmd }: { readonly netFn: number; readonly cmd: number }): string {
  return [netFn, cmd].map((each) => each.toString(16).padStart(2, "0")).join("/");
}

/** OpenBMC's list for restricted mode, of the commands that are known here. */
const restrictedMode = new Set([
  "06/01",
  "06/08",
  "06/37",
  "06/42",
  "06/4d",
  "06/4e",
  "06/4f",
  "06/54",
  "0a/10",
  "0a/11",
  "0c/02",
]);

/** Intel refuses these after POST. */
const accountWrites = new Set(["06/40", "06/43", "06/45", "06/47", "06/4c"]);

/** Commands that need more than User over LAN: Operator 3, Administrator 4. IPMI 2.0 appendix G. */
const lanPrivileges: ReadonlyMap<string, number> = new Map([
  ["00/02", 3],
  ["00/04", 3],
  ["00/08", 3],
  ["00/09", 3],
  ["06/40", 4],
  ["06/43", 4],
  ["06/44", 3],
  ["06/45", 4],
  ["06/46", 3],
  ["06/47", 4],
  ["06/4c", 4],
  ["0c/01", 4],
  ["0c/02", 3],
]);

/** Whether who sends it may do so. */
export function mayDo(
  profile: AccessProfile,
  command: { readonly netFn: number; readonly cmd: number },
  { from }: Arrival,
): boolean {
  const wanted = name(command);
  if (from !== "in-band") return from.privilege >= (lanPrivileges.get(wanted) ?? 2);
  switch (profile.inBand) {
    case "open":
      return true;
    case "reads":
      return restrictedMode.has(wanted);
    case "no writes":
      return !accountWrites.has(wanted);
    case "none":
    case "disabled":
      return false;
    default:
      return profile.inBand satisfies never;
  }
}
