import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BootResult, followBoot } from "../lab/agent-log.ts";
import { type CodecProxy, commandsOfPrograms, countByKind, type SeenCommand } from "../lab/codec-proxy.ts";
import { pause } from "../lab/deadline.ts";
import { type DocumentServer, startDocumentServer } from "../lab/document-server.ts";
import { assembleMachine, exitReason, type MachineOptions, type SimulatedMachine } from "../lab/machine.ts";
import { initPki, type RunningService, readCertificates, startService } from "../lab/service.ts";
import { makeUpTruth } from "../lab/truth.ts";
import { contenders, contendersProgram, marker, observerProgram, quickContendersProgram } from "./overlay.ts";

/** One way to make an account, measured. */
export interface Measured {
  readonly commands: number;
  /** By network function and command. */
  readonly byKind: Readonly<Record<string, number>>;
  /** Milliseconds from its start to its end, in the virtual machine. */
  readonly wallMs: number;
  /** Steps of it that failed, as the machine told. */
  readonly failures: readonly string[];
}

/** The agent's own enrolment. */
export interface MeasuredRun extends Measured {
  readonly outcome: string;
  /** Milliseconds from the first IPMI command to the answer to the last one. */
  readonly bmcMs: number;
}

/** What is measured with one kind of BMC. */
export interface Round {
  /** How much longer the BMC takes for every command, in milliseconds. */
  readonly delayMs: number;
  /** How many user IDs it says that it has. */
  readonly userIds: number;
  readonly first: MeasuredRun;
  readonly others: Readonly<Record<string, Measured>>;
  readonly known: MeasuredRun;
}

export interface Site extends AsyncDisposable {
  readonly directory: string;
  readonly machine: SimulatedMachine;
  readonly proxy: CodecProxy;
  readonly service: RunningService;
  readonly documents: DocumentServer;
}

export interface SiteOptions {
  readonly kernel: string;
  readonly initramfs: string;
  readonly memoryMib?: number;
  readonly cpus?: number;
  readonly delayMs?: number;
  readonly userIds?: number;
  /** More about the machine, which may use the site's directory. */
  readonly machine?: ((directory: string) => Partial<MachineOptions>) | undefined;
  readonly signal: AbortSignal;
}

const bootLimitMs = 240_000;
/** A machine with too little memory can hang instead of saying so. */
const smallBootLimitMs = 120_000;
/** FreeIPMI's checkout alone is thousands of commands. */
const contendersLimitMs = 15 * 60_000;

/** A machine with BMC and service of their own. */
export async function openSite(options: SiteOptions): Promise<Site> {
  const { signal } = options;
  const directory = mkdtempSync(join(tmpdir(), "metal-rivet-bench-"));
  chmodSync(directory, 0o700);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const pkiDirectory = join(directory, "pki");
  await initPki(pkiDirectory, signal);
  const { kernel, initramfs, memoryMib = 512, cpus = 2 } = options;
  const machine = stack.use(
    await assembleMachine(
      {
        ...{ name: "machine", parentDirectory: directory, truth: makeUpTruth(), kernel, initramfs, memoryMib, cpus },
        // A kernel without memory panics and restarts: that is an end, too.
        onReboot: "exit",
        ...options.machine?.(directory),
      },
      signal,
    ),
  );
  if (machine.bmc === undefined) throw new Error("bench: a machine without BMC");
  const { sim, proxy } = machine.bmc;
  proxy.delayMs = options.delayMs ?? 0;
  proxy.maxUserIds = options.userIds;
  const bmcAddresses = new Map([[machine.truth.bmcMac, `127.0.0.1:${sim.lanPort}`]]);
  const service = stack.use(await startService({ directory, pkiDirectory, bmcAddresses }, signal));
  const documents = stack.use(await startDocumentServer());
  documents.put("machine.yaml", { service: service.addressSeenByVm, ...readCertificates(pkiDirectory, "agent") });
  const parts = stack.move();
  return {
    ...{ directory, machine, proxy, service, documents },
    [Symbol.asyncDispose]: () => parts.disposeAsync(),
  };
}

async function boot(site: Site, args: string, signal: AbortSignal, limitMs = bootLimitMs): Promise<BootResult> {
  site.proxy.forget();
  site.machine.console.skip();
  await site.machine.powerOn(`rivet.log=json rivet.config=${site.documents.urlOf("machine.yaml")} ${args}`.trim());
  return await followBoot(site.machine, { limitMs, signal });
}

/**
 * How often each kind of BMC is measured, each time with a machine and a BMC of their own: what counts is the median. The
 * contenders that take minutes are measured once.
 */
export const timesPerRound = 3;

/** First enrolment, the others on the same BMC in the same boot, and a second boot of the machine; the median of each. */
export async function measureRound(
  options: SiteOptions & { readonly delayMs: number; readonly userIds: number },
  progress: (text: string) => void,
): Promise<Round> {
  const rounds: Round[] = [];
  for (let time = 1; time <= timesPerRound; time += 1) {
    const program = time === 1 ? contendersProgram : quickContendersProgram;
    rounds.push(await measureOnce(options, program, (text) => progress(`${time}/${timesPerRound}: ${text}`)));
  }
  const names = Object.keys(rounds[0]?.others ?? {});
  return {
    delayMs: options.delayMs,
    userIds: options.userIds,
    first: medianOf(rounds.map(({ first }) => first)),
    known: medianOf(rounds.map(({ known }) => known)),
    others: Object.fromEntries(
      names.map((name) => [name, medianOf(rounds.flatMap(({ others }) => others[name] ?? []))]),
    ),
  };
}

/** The one with the median wall time; but if a run of ours failed, that one, so that it is told. */
function medianOf<M extends Measured>(measured: readonly M[]): M {
  const failed = measured.find((each) => "outcome" in each && each.failures.length > 0);
  const sorted = measured.toSorted((a, b) => a.wallMs - b.wallMs);
  const median = failed ?? sorted[sorted.length >> 1];
  if (median === undefined) throw new Error("bench: nothing was measured");
  return median;
}

async function measureOnce(
  options: SiteOptions & { readonly delayMs: number; readonly userIds: number },
  program: string,
  progress: (text: string) => void,
): Promise<Round> {
  const { signal, delayMs, userIds } = options;
  await using site = await openSite(options);
  progress("first enrolment");
  const first = measuredRun(await boot(site, `rivet.then=exec:${program}`, signal), site.proxy.seen);
  const others = await followContenders(site, progress, signal);
  await site.machine.powerOff();
  progress("second boot");
  const known = measuredRun(await boot(site, "", signal), site.proxy.seen);
  return { delayMs, userIds, first, others, known };
}

function measuredRun(result: BootResult, seen: readonly SeenCommand[]): MeasuredRun {
  const commands = commandsOfPrograms(seen);
  const failures = result.exitCode === 0 ? [] : [`exit code ${result.exitCode}: ${result.text}`];
  const [first, last] = [commands[0], commands.at(-1)];
  const bmcMs = first === undefined || last === undefined ? 0 : (last.answeredAtMs ?? last.atMs) - first.atMs;
  const { outcome, runMs: wallMs } = result;
  return { outcome, commands: commands.length, byKind: countByKind(commands), wallMs, bmcMs, failures };
}

async function followContenders(
  site: Site,
  progress: (text: string) => void,
  signal: AbortSignal,
): Promise<Record<string, Measured>> {
  const { machine, proxy } = site;
  const measured: Record<string, Measured> = {};
  let begun = 0;
  let failures: string[] = [];
  await machine.console.waitFor(
    "the last contender to end",
    contendersLimitMs,
    (line) => {
      const [word, what, name = "", ...rest] = line.slice(Math.max(0, line.indexOf(marker))).split(" ");
      if (word !== marker) return undefined;
      switch (what) {
        case "begin":
          begun = proxy.seen.length;
          failures = [];
          progress(contenders.find((each) => each.name === name)?.title ?? name);
          return undefined;
        case "failed":
          failures.push(rest.join(" "));
          return undefined;
        case "end": {
          const [from = Number.NaN, to = Number.NaN] = rest.map(Number);
          const commands = commandsOfPrograms(proxy.seen, begun);
          const wallMs = Math.round((to - from) * 1000);
          measured[name] = { commands: commands.length, byKind: countByKind(commands), wallMs, failures };
          return undefined;
        }
        case "over":
          return true;
        default:
          return undefined;
      }
    },
    { signal, ended: () => exitReason(machine) },
  );
  return measured;
}

/** Memory of the agent while it runs as an init, in KiB. */
export interface MemoryFigures {
  /** Peak of the resident memory, the pages of the executable that were touched included. */
  readonly peakKib: number;
  /** What it allocated itself, when it was seen last. */
  readonly anonymousKib: number;
}

/** @throws Error if the run does not end linked, or nothing was seen of the agent */
export async function measureMemory(options: SiteOptions): Promise<MemoryFigures> {
  const { signal } = options;
  await using site = await openSite(options);
  const { console } = site.machine;
  const result = await boot(site, `rdinit=${observerProgram}`, signal);
  if (result.exitCode !== 0) throw new Error(`bench: the observed run ended with "${result.outcome}": ${result.text}`);
  // The inventory comes last; the observer looks five times a second.
  await pause(2_000, signal);
  console.poll();
  const seen = console.lines.flatMap((line) => {
    const match = new RegExp(`${marker} memory (\\d+) (\\d+)`).exec(line);
    return match === null ? [] : [{ peakKib: Number(match[1]), anonymousKib: Number(match[2]) }];
  });
  const peak = seen.toSorted((a, b) => a.peakKib - b.peakKib).at(-1);
  if (peak === undefined) throw new Error("bench: the observer saw no agent");
  return peak;
}

/** Whether a machine with that much memory boots and is linked. */
export async function bootsWith(options: SiteOptions & { readonly memoryMib: number }): Promise<boolean> {
  await using site = await openSite(options);
  try {
    return (await boot(site, "panic=-1", options.signal, smallBootLimitMs)).outcome === "linked";
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof Error) return false;
    throw error;
  }
}
