import type { BootResult } from "./agent-log.ts";
import { commandsOfPrograms, type SeenCommand, writesAmong } from "./codec-proxy.ts";
import type { Difference } from "./truth.ts";

/** The document that `npm run lab -- --output json` prints. Durations in milliseconds. */
export interface LabResult {
  /** Whether all of it held. */
  readonly ok: boolean;
  readonly duration_ms: number;
  /** Why the lab could not go on, if something did not even start. */
  readonly problem?: string;
  /** Where the logs were left, if something did not hold. */
  readonly logs?: string;
  readonly machines: readonly MachineResult[];
  /** With --keep only: what still runs. SIGTERM to that process ends it. */
  readonly kept?: {
    readonly pid: number;
    readonly directory: string;
    readonly service: string;
    readonly pki: string;
  };
}

export interface MachineResult {
  readonly name: string;
  /** What its BMC is like, if that is not ipmi_sim. */
  readonly profile?: string;
  /** How the first boot has to end. */
  readonly expected_outcome: string;
  /** SMBIOS UUID given to QEMU. */
  readonly machine_id: string;
  /** Without these three it has no BMC. */
  readonly bmc_mac?: string;
  readonly bmc_ip?: string;
  /** Where its BMC listens on this machine. */
  readonly bmc_lan?: string;
  /** What did not hold, one sentence each; empty if all did. */
  readonly problems: string[];
  first_boot?: BootSummary;
  /** Fields of the service's row that are not what machine and BMC were told. */
  row_differences?: readonly Difference[];
  account?: { readonly user_name: string; readonly slot: number };
  power_cycle?: { readonly went_down: boolean; readonly came_up: boolean; readonly duration_ms: number };
  second_boot?: BootSummary;
  ipmitool?: { readonly logged_in: boolean };
}

export interface BootSummary {
  readonly outcome: string;
  /** Exit code that the agent would have had as an ordinary program. */
  readonly exit_code: number | undefined;
  /** From power on to the agent's last word. */
  readonly duration_ms: number;
  /** IPMI commands of the agent, counted between the machine and its BMC. */
  readonly ipmi_commands: number;
  /** Those among them that change something on the BMC. */
  readonly ipmi_writes: number;
  readonly steps: readonly { readonly step: string; readonly duration_ms: number }[];
}

/**
 * @param seen every command of this boot, the kernel driver's included
 * @param ipmiDriver whether the kernel had one
 */
export function summarise(boot: BootResult, seen: readonly SeenCommand[], ipmiDriver: boolean): BootSummary {
  const commands = ipmiDriver ? commandsOfPrograms(seen) : seen;
  return {
    outcome: boot.outcome,
    exit_code: boot.exitCode,
    duration_ms: Math.round(boot.durationMs),
    ipmi_commands: commands.length,
    ipmi_writes: writesAmong(commands).length,
    steps: boot.steps.map(({ step, durationMs }) => ({ step, duration_ms: Math.round(durationMs) })),
  };
}
