import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Profile } from "../simulator/profile.ts";
import { ensureBuilt } from "./artifacts.ts";
import { startBootApi } from "./boot-api.ts";
import { type DocumentServer, startDocumentServer } from "./document-server.ts";
import { watchForEarlyEnd } from "./early-end.ts";
import { firstBoot, foreignLogin, powerCycle } from "./lab-checks.ts";
import { keepLogsOnly, makeLabDirectory } from "./lab-directory.ts";
import { showEnd, showTable } from "./lab-report.ts";
import type { LabResult, MachineResult } from "./lab-result.ts";
import { assembleMachine, type MachineOptions, type SimulatedMachine } from "./machine.ts";
import { bootFrom, miniLabMachines } from "./mini-lab.ts";
import type { Screen } from "./screen.ts";
import { initPki, newToken, type RunningService, readCertificates, startService } from "./service.ts";
import { makeUpTruth } from "./truth.ts";

/** How often a machine boots: at first, and after the power cycle; in a lab that stays up as often as somebody likes. */
const boots = { once: 2, kept: 100 };

/** Everything that runs. */
export interface Lab {
  readonly directory: string;
  readonly machines: readonly SimulatedMachine[];
  readonly service: RunningService;
  readonly documents: DocumentServer;
  readonly screen: Screen;
  readonly signal: AbortSignal;
  /** Whether the machines' kernels load the IPMI driver. */
  readonly ipmiDriver: boolean;
  /** Whether the machines boot from the network, by a boot server. */
  readonly miniLab: boolean;
}

export interface LabRunOptions {
  readonly machines: number;
  /** What the BMCs are like; without one they are ipmi_sim. */
  readonly profile?: Profile;
  /** False: the machines' kernels load no IPMI driver. */
  readonly ipmiDriver: boolean;
  /** The machines have no certificate; each gets an enrolment token. */
  readonly token: boolean;
  /** The machines are wired like those of metal-stack's mini-lab, and boot from the network. */
  readonly miniLab: boolean;
  /** There is one machine more, which has no BMC. */
  readonly withoutBmc: boolean;
  readonly screen: Screen;
  readonly signal: AbortSignal;
  /** Called when all is done and everything still runs; what it waits for ends the lab. */
  readonly keepUntilStopped?: (result: LabResult) => Promise<void>;
}

/**
 * The main job, end to end.
 * @returns what held and what did not, also if something did not even start
 * @throws the signal's reason
 */
export async function runLab(options: LabRunOptions): Promise<LabResult> {
  const { screen, signal } = options;
  const started = performance.now();
  const elapsed = () => Math.round(performance.now() - started);
  const directory = makeLabDirectory();
  let keepLogs = false;
  try {
    await using stack = new AsyncDisposableStack();
    const lab = await setUp(stack, directory, options);
    const machines = lab.machines.map(resultFor);
    await checkWatched(lab, machines);
    const ok = machines.every((machine) => machine.problems.length === 0);
    const kept = { pid: process.pid, directory, service: lab.service.address, pki: lab.service.pkiDirectory };
    const keep = options.keepUntilStopped;
    keepLogs = !ok && keep === undefined;
    const rest = keep === undefined ? (ok ? {} : { logs: directory }) : { kept };
    const result: LabResult = { ok, duration_ms: elapsed(), ...rest, machines };
    showEnd(lab, result);
    await keep?.(result);
    return result;
  } catch (error) {
    signal.throwIfAborted();
    keepLogs = true;
    const problem = error instanceof Error ? error.message : String(error);
    screen.line();
    screen.failed("stopped", problem.split("\n")[0] ?? "");
    screen.quote(problem.split("\n").slice(1).join("\n"));
    screen.line(`\nLogs: ${directory}`);
    return { ok: false, duration_ms: elapsed(), problem, logs: directory, machines: [] };
  } finally {
    if (keepLogs) keepLogsOnly(directory);
    else rmSync(directory, { recursive: true, force: true });
  }
}

/** @throws Error if a program ends that all of it rests on */
async function checkWatched(lab: Lab, results: readonly MachineResult[]): Promise<void> {
  const bmcs = lab.machines.flatMap(({ bmc }) => (bmc?.sim.child === undefined ? [] : [bmc.sim.child]));
  using watch = watchForEarlyEnd([lab.service.child, ...bmcs]);
  try {
    await checkAll({ ...lab, signal: AbortSignal.any([lab.signal, watch.signal]) }, results);
    watch.signal.throwIfAborted();
  } catch (error) {
    // Whatever failed, it failed because of that.
    watch.signal.throwIfAborted();
    throw error;
  }
}

async function checkAll(lab: Lab, results: readonly MachineResult[]): Promise<void> {
  const { screen } = lab;
  const each = (check: (lab: Lab, machine: SimulatedMachine, result: MachineResult) => Promise<void>) =>
    Promise.all(
      results.map(async (result, index) => {
        const machine = lab.machines[index];
        if (machine !== undefined && result.problems.length === 0) await check(lab, machine, result);
      }),
    );
  screen.heading(
    results.length === 1 ? "The machine boots for the first time" : "The machines boot for the first time",
  );
  await each(firstBoot);
  screen.heading("What an operator sees: bmcctl ls");
  await showTable(lab);
  // All BMCs are of the same kind. Where that lets nobody in, there is nothing more to see.
  if (lab.machines.some(({ bmc, expectedOutcome }) => bmc !== undefined && expectedOutcome !== "linked")) return;
  const fromNetwork = lab.miniLab ? "Boot target pxe and power cycle" : "Power cycle";
  screen.heading(`${fromNetwork} by the service, over the BMC's LAN, with the account just made`);
  await each(powerCycle);
  screen.heading("An old-fashioned client");
  await each(foreignLogin);
}

async function setUp(stack: AsyncDisposableStack, directory: string, options: LabRunOptions): Promise<Lab> {
  const { screen, signal } = options;
  const timed = async <T>(what: string, work: () => Promise<T>, describe: (value: T) => string): Promise<T> => {
    const start = performance.now();
    const value = await work();
    screen.done(what, describe(value), performance.now() - start);
    return value;
  };
  screen.heading("Set-up");
  const slow = setTimeout(() => screen.pending("build", "takes a few minutes the first time"), 1_500);
  await timed(
    "build",
    () => ensureBuilt(join(directory, "build.log"), signal).finally(() => clearTimeout(slow)),
    ({ upToDate }) => (upToDate ? "binaries and ramdisk are up to date" : "binaries and ramdisk made"),
  );
  const pki = join(directory, "pki");
  await timed(
    "PKI",
    () => initPki(pki, signal),
    () => "throw-away CA; server, agent, operator",
  );
  const machines: SimulatedMachine[] = [];
  await timed(
    options.machines === 1 ? "BMC" : "BMCs",
    async () => {
      for (const given of await describeMachines(directory, options)) {
        const machine = await assembleMachine({ ...given, parentDirectory: directory }, signal);
        machines.push(stack.use(machine));
      }
    },
    () =>
      [
        ...(options.profile === undefined ? [] : [options.profile.name]),
        ...machines.flatMap(({ bmc, truth }) => (bmc === undefined ? [] : `${truth.bmcMac} (${truth.bmcIp})`)),
      ].join(" "),
  );
  const bmcAddresses = new Map(
    machines.flatMap(({ truth, bmc }) =>
      bmc === undefined ? [] : [[truth.bmcMac, `127.0.0.1:${bmc.sim.lanPort}`] as const],
    ),
  );
  const service = await timed(
    "bmc-service",
    async () => stack.use(await startService({ directory, pkiDirectory: pki, bmcAddresses }, signal)),
    ({ address }) => address,
  );
  if (options.miniLab) {
    await timed(
      "boot-api",
      async () => {
        const api = stack.use(await startBootApi({ directory, service, allow: "all" }));
        bootFrom(directory, api);
        return api;
      },
      ({ url }) => `${url}, a token for each boot, no certificate`,
    );
  }
  const documents = stack.use(await startDocumentServer());
  const { ca, ...own } = readCertificates(pki, "agent");
  const put = (name: string, shown: object) =>
    documents.put(`${name}.yaml`, { service: service.addressSeenByVm, ca, ...shown });
  if (options.token) {
    const uses = options.keepUntilStopped === undefined ? boots.once : boots.kept;
    await timed(
      machines.length === 1 ? "token" : "tokens",
      async () => {
        for (const { name, truth } of machines) put(name, { token: await newToken(service, truth.uuid, uses) });
      },
      () => `${uses} boots within an hour, no certificate`,
    );
  } else for (const { name } of machines) put(name, own);
  const { ipmiDriver, miniLab } = options;
  return { directory, machines, service, documents, screen, signal, ipmiDriver, miniLab };
}

async function describeMachines(
  directory: string,
  { machines, profile, miniLab, withoutBmc }: LabRunOptions,
): Promise<readonly Omit<MachineOptions, "parentDirectory">[]> {
  const count = machines + Number(withoutBmc);
  const last = withoutBmc ? count - 1 : undefined;
  if (miniLab) {
    const all = await miniLabMachines(directory, count);
    return all.map((each, index) => (index === last ? { ...each, withBmc: false } : each));
  }
  return Array.from({ length: count }, (_, index) => ({
    name: count === 1 ? "machine" : `machine-${index + 1}`,
    truth: makeUpTruth(),
    ...(index === last ? { withBmc: false } : profile && { profile }),
  }));
}

function resultFor(machine: SimulatedMachine): MachineResult {
  const { name, truth, bmc } = machine;
  return {
    name,
    ...(machine.profile === undefined ? {} : { profile: machine.profile.name }),
    expected_outcome: machine.expectedOutcome,
    machine_id: truth.uuid,
    ...(bmc && { bmc_mac: truth.bmcMac, bmc_ip: truth.bmcIp, bmc_lan: `127.0.0.1:${bmc.sim.lanPort}` }),
    problems: [],
  };
}
