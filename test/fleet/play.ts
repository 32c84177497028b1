import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { createSecureContext } from "node:tls";
import { type Enrolled, enrol, type Fleet } from "./enrol.ts";
import { FleetMachine } from "./fleet-machine.ts";
import { FleetService } from "./fleet-service.ts";
import { lost } from "./lost.ts";

/** The runs of the benchmark. */
export const runNames = ["shared certificate", "enrolment tokens", "remote login", "remote login, killed"] as const;
export type RunName = (typeof runNames)[number];

/** What is different in each. `killed`: the service dies when half of the machines are through, and is started again. */
const courses: Readonly<
  Record<RunName, { readonly remote: boolean; readonly token: boolean; readonly killed: boolean }>
> = {
  "shared certificate": { remote: false, token: false, killed: false },
  "enrolment tokens": { remote: false, token: true, killed: false },
  "remote login": { remote: true, token: false, killed: false },
  "remote login, killed": { remote: true, token: false, killed: true },
};

/** Whether the service logs in to the BMCs in that run. */
export const isRemote = (name: RunName): boolean => courses[name].remote;

export interface PlayOptions {
  readonly machines: number;
  /** Enrolments at once. */
  readonly concurrency: number;
  /** For database, certificates and log. */
  readonly directory: string;
  /** Of the service's process. */
  readonly nodeOptions?: readonly string[];
  readonly signal?: AbortSignal;
  readonly onEnrolled?: (count: number) => void;
  /** While the service with all its rows is still there. */
  readonly afterwards?: (service: FleetService) => Promise<void>;
}

/** The state of the service when that many machines were enrolled. */
export interface Sample {
  readonly enrolled: number;
  readonly residentBytes: number;
  readonly databaseBytes: number;
}

export interface Played {
  readonly name: RunName;
  readonly machines: number;
  readonly perSecond: number;
  /** Of whole enrolments, from connecting to the last answer. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor time of one enrolment. */
  readonly serviceCpuMs: number;
  readonly clientCpuMs: number;
  /** In the order of the run. */
  readonly samples: readonly Sample[];
  /** How long the service was away; undefined if it was not killed. */
  readonly downMs: number | undefined;
  readonly retries: number;
  /** What failed and what was acknowledged and is not there, one sentence each. */
  readonly lost: readonly string[];
}

/** How many samples of memory and database are taken, evenly over the machines. */
const sampleCount = 20;

/** Enrols all machines at a service of their own, and looks whether they are there. */
export async function play(name: RunName, options: PlayOptions): Promise<Played> {
  const { machines, concurrency, signal, onEnrolled, afterwards } = options;
  const { remote, token, killed } = courses[name];
  const directory = join(options.directory, name.replaceAll(/\W+/g, "-"));
  mkdirSync(directory);
  await using service = await FleetService.start(directory, options.nodeOptions);
  const fleet = await fleetOf(service, { remote, token, machines });

  const enrolled: Enrolled[] = [];
  const failures: string[] = [];
  const samples: Sample[] = [];
  const every = Math.max(1, Math.floor(machines / sampleCount));
  let next = 0;
  let down: Promise<number> | undefined;
  const [startedAt, serviceBefore, clientsBefore] = [performance.now(), service.cpuMs, process.cpuUsage()];
  const lane = async () => {
    while (next < machines && signal?.aborted !== true) {
      const machine = new FleetMachine(next);
      next += 1;
      try {
        enrolled.push(await enrol(fleet, machine));
      } catch (error) {
        failures.push(`${machine.mac}: ${error instanceof Error ? error.message : String(error)}`);
        continue;
      }
      onEnrolled?.(enrolled.length);
      if (enrolled.length % every === 0) samples.push(...sampleOf(service, enrolled.length));
      if (killed && enrolled.length >= machines / 2) down ??= killAndRestart(service);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  const downMs = await down;
  const seconds = (performance.now() - startedAt) / 1_000;
  const clients = process.cpuUsage(clientsBefore);
  const serviceCpuMs = service.cpuMs - serviceBefore;
  signal?.throwIfAborted();

  await using operator = service.connectOperator();
  const missing = await lost(
    operator,
    enrolled.map(({ machine }) => machine),
    remote,
  );
  await afterwards?.(service);
  const durations = enrolled.map(({ durationMs }) => durationMs).toSorted((a, b) => a - b);
  const share = (part: number) => durations[Math.ceil(part * durations.length) - 1] ?? Number.NaN;
  return {
    name,
    machines,
    perSecond: enrolled.length / seconds,
    p50Ms: share(0.5),
    p99Ms: share(0.99),
    serviceCpuMs: serviceCpuMs / machines,
    clientCpuMs: (clients.user + clients.system) / 1_000 / machines,
    samples,
    downMs,
    retries: enrolled.reduce((sum, { retries }) => sum + retries, 0),
    lost: [...failures, ...missing],
  };
}

async function fleetOf(
  service: FleetService,
  { remote, token, machines }: { readonly remote: boolean; readonly token: boolean; readonly machines: number },
): Promise<Fleet> {
  const { ca, cert, key } = service.certificates("agent");
  const common = { port: service.port, ca, remote };
  const minVersion = "TLSv1.3";
  if (!token) return { ...common, context: createSecureContext({ ca, cert, key, minVersion }), token: undefined };
  await using operator = service.connectOperator();
  const request = { machineUuid: "", ttlSeconds: 86_400, uses: machines };
  const { text } = await operator.createToken(request, AbortSignal.timeout(10_000));
  return { ...common, context: createSecureContext({ ca, minVersion }), token: text };
}

/** None while it does not run. */
function sampleOf({ residentBytes, databaseBytes }: FleetService, enrolled: number): Sample[] {
  return residentBytes === undefined ? [] : [{ enrolled, residentBytes, databaseBytes }];
}

/** How long it was away, ms. */
async function killAndRestart(service: FleetService): Promise<number> {
  const startedAt = performance.now();
  await service.kill();
  await wait(100);
  await service.start();
  return performance.now() - startedAt;
}
