import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { Command, CommanderError, Option } from "commander";
import { ExitCode } from "../../proto/exit-code.ts";
import { buildReleaseImage, ensureBuilt, releaseImage } from "../lab/artifacts.ts";
import { makeScreen } from "../lab/screen.ts";
import { bootsWith, measureMemory, measureRound, type Round } from "./in-vm.ts";
import { measureNatively } from "./natively.ts";
import { writeBenchRamdisk } from "./overlay.ts";
import { measureQuirks } from "./quirks.ts";
import { type Figures, quirkReport, type RamdiskFigures, report, targets } from "./report.ts";

/** The BMCs that are measured: 63 user IDs are what ipmi_sim has, 16 are what most servers have. */
const kindsOfBmc = [
  { delayMs: 0, userIds: 63 },
  { delayMs: 10, userIds: 63 },
  { delayMs: 10, userIds: 16 },
];
/** Tried from the largest down, until one does not boot. */
const memoriesMib = [512, 448, 384, 320, 288, 256, 224, 192];

const help = `
In one virtual machine, on one simulated BMC, side by side: IPMI commands and wall
time of our enrolment, of go-hal's sequence (eight runs of ipmitool), and of MAAS's
(FreeIPMI's bmc-config checkout and five commits); with a BMC that answers at once,
with 10 ms more for each command, and with 16 instead of 63 user IDs; the medians
of three (MAAS's once). Then start-up time and sizes, measured natively, the
agent's memory, and the least memory with which the machine boots. Last, without a
virtual machine: what the behaviour of each kind of BMC costs in commands; with
--quirks only that, in seconds.
Takes about eight minutes once everything is built.

Exit codes:
  0    measured; targets that were missed are marked
  64   wrong usage
  70   something could not be measured: the message says what
  130  Ctrl-C (nothing is left behind)
`;

async function main(): Promise<number> {
  const command = new Command("npm run bench --")
    .description("Measures the enrolment against today's ways, and what the ramdisk costs.")
    .addOption(
      new Option("--output <FORMAT>", "table, or JSON (progress goes to standard error)")
        .choices(["table", "json"])
        .default("table"),
    )
    .addOption(new Option("--quirks", "only the commands that each kind of BMC costs").default(false))
    .helpOption("-h, --help", "this text")
    .addHelpText("after", help)
    .allowExcessArguments(false)
    .exitOverride();
  try {
    command.parse(process.argv);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
    throw error;
  }
  const { output, quirks } = command.opts<{ output: "table" | "json"; quirks: boolean }>();
  if (quirks) {
    const figures = await measureQuirks();
    console.log(output === "json" ? JSON.stringify({ quirks: figures }, undefined, 2) : quirkReport(figures));
    return ExitCode.done;
  }
  const interruption = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => interruption.abort(128 + constants.signals[signal]));
  }
  try {
    const figures = await measure(interruption.signal);
    if (output === "json") console.log(JSON.stringify({ ...figures, targets: targets(figures) }, undefined, 2));
    else process.stdout.write(`\n${report(figures)}`);
    return ExitCode.done;
  } catch (error) {
    if (interruption.signal.aborted) return Number(interruption.signal.reason);
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    return ExitCode.bug;
  }
}

async function measure(signal: AbortSignal): Promise<Figures> {
  const screen = makeScreen((text) => process.stderr.write(text), process.stderr.isTTY && !process.env.NO_COLOR);
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-bench-build-"));
  try {
    const timed = async <T>(what: string, work: () => Promise<T>, describe: (value: T) => string): Promise<T> => {
      const start = performance.now();
      const value = await work();
      screen.done(what, describe(value), performance.now() - start);
      return value;
    };
    screen.heading("Measuring");
    screen.pending("build", "a minute and more if something changed");
    await timed(
      "build",
      async () => {
        mkdirSync(directory, { recursive: true });
        await ensureBuilt(join(directory, "build.log"), signal);
        await buildReleaseImage(join(directory, "build.log"), signal);
      },
      () => "binaries and ramdisk",
    );
    const native = await timed(
      "natively",
      measureNatively,
      ({ firstLineMs }) => `first line ${firstLineMs.toFixed(1)} ms`,
    );
    const initramfs = join(directory, "bench.img");
    await writeBenchRamdisk(releaseImage.initramfs, initramfs);
    const benchImage = { kernel: releaseImage.kernel, initramfs, signal };

    const rounds: Round[] = [];
    for (const kind of kindsOfBmc) {
      const name = `BMC +${kind.delayMs} ms, ${kind.userIds} IDs`;
      const round = () => measureRound({ ...benchImage, ...kind }, (text) => screen.pending(name, text));
      rounds.push(await timed(name, round, ({ first }) => `our run: ${first.outcome}`));
    }
    const memory = await timed(
      "memory of the agent",
      () => measureMemory(benchImage),
      ({ peakKib }) => `${(peakKib / 1024).toFixed(1)} MiB at most`,
    );
    const tried: number[] = [];
    let smallestMemoryMib: number | undefined;
    for (const memoryMib of memoriesMib) {
      tried.push(memoryMib);
      const boots = await timed(
        `machine of ${memoryMib} MiB`,
        () => bootsWith({ ...releaseImage, signal, memoryMib }),
        (linked) => (linked ? "boots and is linked" : "does not get there"),
      );
      if (!boots) break;
      smallestMemoryMib = memoryMib;
    }
    const quirks = await measureQuirks();
    return { rounds, native, ramdisk: ramdiskFigures(), memory, smallestMemoryMib, memoriesTriedMib: tried, quirks };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** From the manifest that the image builder writes. */
function ramdiskFigures(): RamdiskFigures {
  const manifest: {
    kernel: { bytes: number };
    initramfs: { bytes: number; parts: { name: string; packed: number }[] };
  } = JSON.parse(readFileSync(releaseImage.manifest, "utf8"));
  const packed = (name: string) => manifest.initramfs.parts.find((part) => part.name === name)?.packed ?? Number.NaN;
  return {
    bytes: manifest.initramfs.bytes,
    agentBytes: packed("agent") + packed("libraries"),
    kernelBytes: manifest.kernel.bytes,
  };
}

process.exit(await main());
