import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { type BmcClient, connectBmcService } from "../../outband-client/service/bmc.ts";
import { artifacts } from "./artifacts.ts";
import { type Child, plainEnvironment, startChild, tailOf } from "./child.ts";
import { until } from "./deadline.ts";
import { freeTcpPort } from "./ports.ts";
import { hostAsSeenByVm, hostAsSeenByVm6 } from "./qemu.ts";

/** The real bmc-service, running, and the certificates that go with it. */
export interface RunningService extends AsyncDisposable {
  /** HOST:PORT for programs on this machine. */
  readonly address: string;
  /** HOST:PORT for virtual machines. */
  readonly addressSeenByVm: string;
  /** http://HOST:PORT with /healthz and /metrics. */
  readonly healthUrl: string;
  readonly pkiDirectory: string;
  readonly dataDirectory: string;
  readonly logFile: string;
  readonly child: Child;
}

/** Certificates as PEM texts. */
export interface Certificates {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/**
 * Makes a throw-away PKI whose server certificate is good for 127.0.0.1 and for the host as virtual machines see it.
 * @throws Error with the program's words
 */
export async function initPki(directory: string, signal?: AbortSignal): Promise<void> {
  const names = [hostAsSeenByVm, hostAsSeenByVm6, "127.0.0.1"].flatMap((name) => ["--name", name]);
  const args = ["init-pki", "--out", directory, ...names];
  const done = await execa(artifacts.bmcService, args, { ...oneShot, ...cancelledBy(signal), all: true });
  signal?.throwIfAborted();
  if (done.exitCode === undefined) throw new Error(`bmc-service init-pki: ${done.shortMessage}`);
  if (done.exitCode !== 0) throw new Error(`bmc-service init-pki: exit code ${done.exitCode}:\n${done.all}`);
}

/** The certificate of a role out of a PKI made by init-pki. */
export function readCertificates(pki: string, role: "agent" | "operator"): Certificates {
  const read = (name: string) => readFileSync(join(pki, name), "utf8");
  return { ca: read("ca.pem"), cert: read(`${role}.pem`), key: read(`${role}.key`) };
}

export interface ServiceOptions {
  /** For its log, and for its data unless `dataDirectory` says otherwise. */
  readonly directory: string;
  readonly pkiDirectory: string;
  readonly dataDirectory?: string;
  /** Where the BMCs are to be reached from remote: HOST:PORT by MAC. */
  readonly bmcAddresses: ReadonlyMap<string, string>;
  /** TCP port on 127.0.0.1; a free one by default. */
  readonly port?: number;
  readonly extraArgs?: readonly string[];
}

/** @throws Error with the end of its log if it ends; DeadlineError if it is not healthy within 20 s */
export async function startService(options: ServiceOptions, signal?: AbortSignal): Promise<RunningService> {
  const port = options.port ?? (await freeTcpPort());
  const healthPort = await freeTcpPort();
  const dataDirectory = options.dataDirectory ?? join(options.directory, "service-data");
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 });
  const logFile = join(options.directory, "bmc-service.log");
  const child = await startChild({
    command: artifacts.bmcService,
    args: [
      "serve",
      ...["--listen", `127.0.0.1:${port}`, "--data", dataDirectory, "--pki", options.pkiDirectory],
      ...["--health", `127.0.0.1:${healthPort}`],
      ...[...options.bmcAddresses].flatMap(([mac, address]) => ["--bmc-address", `${mac}=${address}`]),
      ...(options.extraArgs ?? []),
    ],
    logFile,
  });
  const healthUrl = `http://127.0.0.1:${healthPort}`;
  try {
    await until(
      `bmc-service to be healthy (log: ${logFile})`,
      20_000,
      () => {
        if (!child.running) throw new Error(`bmc-service ended at once; its log ends with:\n${tailOf(logFile)}`);
        return isHealthy(healthUrl);
      },
      { signal, everyMs: 40 },
    );
  } catch (error) {
    await child.kill();
    throw error;
  }
  return {
    address: `127.0.0.1:${port}`,
    addressSeenByVm: `${hostAsSeenByVm}:${port}`,
    healthUrl,
    pkiDirectory: options.pkiDirectory,
    dataDirectory,
    logFile,
    child,
    async [Symbol.asyncDispose]() {
      await child.stop(10_000);
    },
  };
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(1_000) })).ok;
  } catch {
    return false;
  }
}

const oneShot = {
  reject: false,
  timeout: 60_000,
  stdin: "ignore",
  extendEnv: false,
  env: { ...plainEnvironment(), NO_COLOR: "1" },
} as const;

/** How one run of bmcctl ended. */
export interface BmcctlResult {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the operator's command against a service. Never throws for an exit code.
 * @throws the signal's reason
 */
export async function bmcctl(
  service: RunningService,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<BmcctlResult> {
  const connection = ["--service", service.address, "--pki", service.pkiDirectory];
  const done = await execa(artifacts.bmcctl, [...args, ...connection], { ...oneShot, ...cancelledBy(signal) });
  signal?.throwIfAborted();
  return { exitCode: done.exitCode, stdout: done.stdout, stderr: done.stderr };
}

const cancelledBy = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { cancelSignal: signal });

/** An operator's connection to a service, for what a table does not show. */
export function connectOperator(service: RunningService): BmcClient {
  return connectBmcService({ address: service.address, ...readCertificates(service.pkiDirectory, "operator") });
}

/** The text of a new enrolment token for one machine, good for an hour by default. */
export async function newToken(
  service: RunningService,
  machineUuid: string,
  uses: number,
  ttlSeconds = 3_600,
): Promise<string> {
  await using operator = connectOperator(service);
  const request = { machineUuid, ttlSeconds, uses };
  return (await operator.createToken(request, AbortSignal.timeout(10_000))).text.toString();
}
