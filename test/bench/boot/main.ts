import { copyFileSync, cpSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { execa } from "execa";
import { ExitCode } from "../../../proto/exit-code.ts";
import { artifacts, buildReleaseImage, ensureBuilt, releaseImage, repository } from "../../lab/artifacts.ts";
import { durationText, makeScreen, type Screen } from "../../lab/screen.ts";
import { leastMemory, type MeasuredRoad, measureRoad } from "./measure.ts";
import { writeDebianRamdisk, writeEmptyRamdisk, writeTimedRamdisk, writeWithOverlay } from "./ramdisks.ts";
import { bootReport, bootTargets, type LeastMemory, memoryReport } from "./report.ts";
import { type BootImages, imagesDirectory, type Road, roads, smallMemoryMib, stickWords } from "./roads.ts";

const help = `
Boots a virtual machine (QEMU without KVM) on each road, each time with a BMC and a
service that have never seen it, and tells when it gets where: /init, the agent's
first line, network, BMC read, linked. Beside that, what others take: the same
kernel with an empty ramdisk, and Debian's own initramfs with ipmitool in a script.
Takes about fifteen minutes once everything is built. Needs root, for Debian's
initramfs, which is made in a mount namespace of its own.

With --least-memory it boots each road of ours with less and less memory instead,
and tells the least with which the machine is still linked.

Roads:
${roads.map(({ name, title }) => `  ${name.padEnd(12)} ${title}`).join("\n")}

Exit codes:
  0    measured; targets that were missed are marked
  64   wrong usage
  70   something could not be measured: the message says what
  130  Ctrl-C (nothing is left behind)
`;

interface Options {
  readonly output: "table" | "json";
  readonly times: number;
  readonly road: readonly Road[];
  readonly leastMemory: boolean;
}

/** MiB. */
const memories = [smallMemoryMib, 352, 320, 288];

/** @throws CommanderError */
function parseOptions(): Options {
  return new Command("npm run bench:boot --")
    .description("Measures how long machines take from power-on to linked, on every road.")
    .addOption(
      new Option("--output <FORMAT>", "table, or JSON (progress goes to standard error)")
        .choices(["table", "json"])
        .default("table"),
    )
    .addOption(new Option("--times <N>", "boots of each road; the median counts").default(5).argParser(times))
    .addOption(new Option("--road <NAME>", "this road only; may be repeated").argParser(road).default(roads, "all"))
    .option("--least-memory", "the least memory of each road, and not its times", false)
    .helpOption("-h, --help", "this text")
    .addHelpText("after", help)
    .allowExcessArguments(false)
    .exitOverride()
    .parse(process.argv)
    .opts<Options>();
}

function times(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 100) throw new InvalidArgumentError("Give 1 to 100.");
  return value;
}

function road(name: string, others: readonly Road[]): readonly Road[] {
  const found = roads.find((each) => each.name === name);
  if (found === undefined) throw new InvalidArgumentError(`Roads: ${roads.map((each) => each.name).join(", ")}.`);
  return others === roads ? [found] : [...others, found];
}

async function main(): Promise<number> {
  let options: Options;
  try {
    options = parseOptions();
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
    throw error;
  }
  const interruption = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => interruption.abort(128 + constants.signals[signal]));
  }
  try {
    const { json, text } = await measure(options, interruption.signal);
    if (options.output === "json") console.log(JSON.stringify(json, undefined, 2));
    else process.stdout.write(`\n${text}`);
    return ExitCode.done;
  } catch (error) {
    if (interruption.signal.aborted) return Number(interruption.signal.reason);
    process.stderr.write(`bench:boot: ${error instanceof Error ? error.message : String(error)}\n`);
    return ExitCode.bug;
  }
}

/** What was measured, for programs and for people. */
interface Measured {
  readonly json: unknown;
  readonly text: string;
}

async function measure(options: Options, signal: AbortSignal): Promise<Measured> {
  const screen = makeScreen((text) => process.stderr.write(text), process.stderr.isTTY && !process.env.NO_COLOR);
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-bench-boot-"));
  try {
    screen.heading("Measuring");
    const images = await buildImages(directory, screen, signal);
    if (options.leastMemory) {
      const found = await measureMemory(options.road, images, screen, signal);
      return { json: { roads: found, triedMib: memories }, text: memoryReport(found, memories) };
    }
    const measured = await measureTimes(options, images, screen, signal);
    const figures = { roads: measured, timesPerRoad: options.times, stickBytes: statSync(images.stick).size };
    return { json: { ...figures, targets: bootTargets(figures) }, text: bootReport(figures) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function measureTimes(
  options: Options,
  images: BootImages,
  screen: Screen,
  signal: AbortSignal,
): Promise<MeasuredRoad[]> {
  const measured: MeasuredRoad[] = [];
  for (const each of options.road) {
    const started = performance.now();
    screen.pending(each.name, each.title);
    const done = await measureRoad(each, images, options.times, signal);
    measured.push(done);
    if (done.failure !== undefined) {
      screen.failed(each.name, done.failure.split("\n")[0] ?? "", performance.now() - started);
      continue;
    }
    screen.done(
      each.name,
      `${each.until}: ${durationText(done.median[each.until] ?? Number.NaN)}`,
      performance.now() - started,
    );
  }
  return measured;
}

async function measureMemory(
  wanted: readonly Road[],
  images: BootImages,
  screen: Screen,
  signal: AbortSignal,
): Promise<LeastMemory[]> {
  const found: LeastMemory[] = [];
  for (const each of wanted.filter(({ agent }) => agent)) {
    const { name, title, memoryMib } = each;
    const started = performance.now();
    screen.pending(name, `${title}: least memory`);
    const from = [...(memoryMib > smallMemoryMib ? [memoryMib] : []), ...memories];
    const leastMib = await leastMemory(each, images, from, signal);
    found.push({ name, title, leastMib });
    screen.done(
      name,
      leastMib === undefined ? `not with ${from[0]} MiB` : `${leastMib} MiB`,
      performance.now() - started,
    );
  }
  return found;
}

/** Everything as it is released, but for what tells when /init starts. */
async function buildImages(directory: string, screen: Screen, signal: AbortSignal): Promise<BootImages> {
  const started = performance.now();
  screen.pending("build", "some minutes if something changed");
  const log = join(directory, "build.log");
  await ensureBuilt(log, signal);
  await buildReleaseImage(log, signal);
  const stickFolder = join(repository, "dist/bench-image");
  // With the ramdisk that is packed already.
  cpSync(dirname(releaseImage.kernel), stickFolder, { recursive: true, preserveTimestamps: true });
  const build = ["image/build.ts", "--agent", artifacts.metalRivet, "--out", stickFolder, "--command-line", stickWords];
  await execa(process.execPath, build, { cwd: repository, timeout: 600_000, cancelSignal: signal });
  const images: BootImages = {
    directory: imagesDirectory(directory),
    kernel: releaseImage.kernel,
    initramfs: join(directory, "images/initramfs.img"),
    stick: join(stickFolder, "metal-rivet.img"),
    emptyRamdisk: join(directory, "empty.img"),
    debianRamdisk: once(async () => {
      const path = join(directory, "debian.img");
      await writeDebianRamdisk(directory, path);
      return path;
    }),
    debianWithOverlay: once(async () => {
      const path = join(directory, "debian-overlay.img");
      writeWithOverlay(await images.debianRamdisk(), releaseImage.overlay, path);
      return path;
    }),
  };
  copyFileSync(releaseImage.kernel, join(images.directory, "vmlinuz"));
  copyFileSync(releaseImage.efi, join(images.directory, "metal-rivet.efi"));
  writeTimedRamdisk(releaseImage.initramfs, images.initramfs);
  writeEmptyRamdisk(images.emptyRamdisk);
  screen.done("build", "images of all roads", performance.now() - started);
  return images;
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

process.exit(await main());
