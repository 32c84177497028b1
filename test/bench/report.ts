import Table from "cli-table3";
import { durationText, wrap } from "../lab/screen.ts";
import { type MemoryFigures, type Round, timesPerRound } from "./in-vm.ts";
import type { NativeFigures } from "./natively.ts";
import { contenders } from "./overlay.ts";
import type { QuirkFigures } from "./quirks.ts";

/** Everything that was measured. */
export interface Figures {
  /** One for each delay of the BMC. */
  readonly rounds: readonly Round[];
  readonly native: NativeFigures;
  readonly ramdisk: RamdiskFigures;
  readonly memory: MemoryFigures;
  readonly quirks: readonly QuirkFigures[];
  /** The least memory of those tried, in MiB, with which the machine boots and is linked; undefined if none did. */
  readonly smallestMemoryMib: number | undefined;
  readonly memoriesTriedMib: readonly number[];
}

/** Sizes in bytes, as packed. */
export interface RamdiskFigures {
  readonly bytes: number;
  /** Agent and its libraries alone. */
  readonly agentBytes: number;
  readonly kernelBytes: number;
}

export interface Target {
  readonly what: string;
  readonly measured: string;
  readonly target: string;
  readonly reached: boolean;
}

/**
 * Most servers have as many user IDs. Every one of them is read before anything is written, a command each, so that no
 * account of ours is overlooked and none of others is met: with many more, go-hal, which looks at none, is faster.
 */
const raceUserIds = 16;

/** What a first enrolment may cost: two commands for each user ID and 30 more; less on BMCs of the usual size. */
const mostCommands = (userIds: number) => (userIds <= raceUserIds ? 45 : 2 * userIds + 30);

/** The targets, and whether they were reached. */
export function targets(figures: Figures): Target[] {
  const { rounds, native, ramdisk, smallestMemoryMib } = figures;
  const knownCommands = Math.max(...rounds.map(({ known }) => known.commands));
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const byUserIds = Map.groupBy(rounds, ({ userIds }) => userIds);
  const commands = [...byUserIds].map(([userIds, those]): Target => {
    const most = Math.max(...those.map(({ first }) => first.commands));
    const allowed = mostCommands(userIds);
    return {
      what: `IPMI commands, first enrolment, ${userIds} user IDs`,
      measured: String(most),
      target: `at most ${allowed}`,
      reached: most <= allowed,
    };
  });
  const races = rounds
    .filter(({ delayMs, userIds }) => delayMs === 10 && userIds <= raceUserIds)
    .map(({ userIds, first, others }): Target => {
      const goHal = others["go-hal"]?.wallMs ?? Number.NaN;
      return {
        what: `whole run at 10 ms a command, ${userIds} user IDs`,
        measured: durationText(first.wallMs),
        target: `less than go-hal's ${durationText(goHal)}`,
        reached: first.wallMs < goHal,
      };
    });
  return [
    ...commands,
    {
      what: "IPMI commands, known machine",
      measured: String(knownCommands),
      target: "at most 4",
      reached: knownCommands <= 4,
    },
    ...races,
    {
      what: `start to first line (median of ${native.firstLineRuns})`,
      measured: `${native.firstLineMs.toFixed(1)} ms`,
      target: "at most 40 ms",
      reached: native.firstLineMs <= 40,
    },
    {
      what: "ramdisk without kernel, zstd",
      measured: mb(ramdisk.bytes),
      target: "at most 45 MB",
      reached: ramdisk.bytes <= 45e6,
    },
    {
      what: "of that the agent and its libraries",
      measured: mb(ramdisk.agentBytes),
      target: "at most 32 MB",
      reached: ramdisk.agentBytes <= 32e6,
    },
    {
      what: "memory with which it still boots",
      measured: smallestMemoryMib === undefined ? "none tried" : `${smallestMemoryMib} MiB`,
      target: "at most 512 MiB",
      reached: smallestMemoryMib !== undefined && smallestMemoryMib <= 512,
    },
  ];
}

/** For people. */
export function report(figures: Figures): string {
  const { rounds, native, ramdisk, memory } = figures;
  const mb = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const ways = plainTable([
    "way to an account",
    ...rounds.map(({ delayMs, userIds }) => `+${delayMs} ms, ${userIds} IDs`),
  ]);
  const row = (title: string, pick: (round: Round) => { commands: number; wallMs: number } | undefined) => {
    const cells = rounds.map((round) => {
      const measured = pick(round);
      if (measured === undefined) return "-";
      const ratio = (measured.wallMs / round.first.wallMs).toFixed(1);
      return `${measured.commands} ${durationText(measured.wallMs)} x${ratio}`;
    });
    ways.push([title, ...cells]);
  };
  row("metal-rivet, whole run", ({ first }) => first);
  row("  first to last command", ({ first }) => ({ ...first, wallMs: first.bmcMs }));
  row("metal-rivet, known again", ({ known }) => known);
  for (const { name, title } of contenders) row(title, ({ others }) => others[name]);

  const sizes = plainTable(["figure", "measured"]);
  sizes.push(
    ["binary metal-rivet", `${mb(native.binaryBytes)}, zstd ${mb(native.binaryZstdBytes)}`],
    ["ramdisk (zstd), kernel", `${mb(ramdisk.bytes)}, ${mb(ramdisk.kernelBytes)}`],
    ["peak memory of the agent as init", `${(memory.peakKib / 1024).toFixed(1)} MiB resident`],
    ["  of that its own, not the executable's", `${(memory.anonymousKib / 1024).toFixed(1)} MiB`],
    ["memories tried", figures.memoriesTriedMib.map((mib) => `${mib} MiB`).join(", ")],
  );
  const reached = plainTable(["target", "measured", "to reach", ""]);
  for (const each of targets(figures)) {
    reached.push([each.what, each.measured, each.target, each.reached ? "reached" : "MISSED"]);
  }
  const failures = rounds.flatMap((round) =>
    [
      ["metal-rivet", round.first] as const,
      ["metal-rivet, known", round.known] as const,
      ...Object.entries(round.others),
    ]
      .filter(([, measured]) => measured.failures.length > 0)
      .map(
        ([name, measured]) =>
          `  ${name} at +${round.delayMs} ms, ${round.userIds} IDs: ${measured.failures.join("; ")}`,
      ),
  );
  return [
    "IPMI commands, wall time, and ratio to our whole run; in the same virtual machine",
    "(QEMU without KVM) on the same BMC (ipmi_sim). Our whole run includes escrow and",
    "the service's remote login; the others end when the account is made. Medians of",
    `${timesPerRound}, of MAAS's way one. The race with go-hal is a target for ${raceUserIds} user IDs: with more,`,
    "ours reads each of them before it writes, and go-hal looks at none.",
    "",
    ways.toString(),
    "",
    sizes.toString(),
    "",
    reached.toString(),
    "",
    quirkReport(figures.quirks),
    ...(failures.length === 0
      ? []
      : ["", "What did not work for the one or the other (ipmi_sim knows not all commands):", ...failures]),
    "",
  ].join("\n");
}

/** What each kind of BMC costs, for people. */
export function quirkReport(quirks: readonly QuirkFigures[]): string {
  const table = plainTable(["profile", "outcome", "commands", "", "of these"]);
  for (const { profile, outcome, commands, difference } of quirks) {
    const counts = Object.entries(difference);
    const sum = counts.reduce((total, [, count]) => total + count, 0);
    const words = counts.map(([name, count]) => `${signed(count)} ${name}`).join(", ");
    table.push([profile, outcome, String(commands), sum === 0 ? "" : signed(sum), wrap(words, 30).join("\n")]);
  }
  const title = [
    "IPMI commands of a first enrolment on each kind of BMC, and how many more or",
    "fewer than on one without quirks that has as many user IDs; in memory, at the",
    "KCS registers.",
  ].join("\n");
  return `${title}\n\n${table}`;
}

const signed = (count: number) => (count > 0 ? `+${count}` : String(count));

/** A table without lines. */
export function plainTable(head: string[]): InstanceType<typeof Table> {
  const none = Object.fromEntries(
    [
      "top",
      "top-mid",
      "top-left",
      "top-right",
      "bottom",
      "bottom-mid",
      "bottom-left",
      "bottom-right",
      "left",
      "left-mid",
    ]
      .concat(["mid", "mid-mid", "right", "right-mid"])
      .map((side) => [side, ""]),
  );
  return new Table({
    head,
    chars: { ...none, middle: "  " },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
}
