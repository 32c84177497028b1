import { type Server, setLogger } from "@grpc/grpc-js";
import type { Logger } from "pino";
import { State } from "../proto/gen/metalstack/bmc/v1/bmc.ts";
import { BmcServiceService } from "../proto/gen/metalstack/bmc/v1/bmc_service.ts";
import { EnrolmentServiceService, type Policy } from "../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { SampledRefusals } from "./audit/sampled-refusals.ts";
import { DriverList } from "./drivers/driver-list.ts";
import { ipmiDriver, type PowerPatience } from "./drivers/ipmi/ipmi-driver.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";
import { type KeepTimes, startForgetting } from "./forgetting.ts";
import { HandOffs } from "./hand-off/hand-offs.ts";
import type { HandOffLimits } from "./hand-off/take-over.ts";
import { HealthServer } from "./health-server.ts";
import { reportKeysPath } from "./import/report-keys.ts";
import { Metrics } from "./metrics.ts";
import type { SubjectAttributes } from "./pki/agent-certificates.ts";
import { loadServerPki } from "./pki/load-pki.ts";
import type { AddressMap } from "./reach/bmc-address.ts";
import { BmcLocks } from "./reach/bmc-locks.ts";
import type { BmcNetworks } from "./reach/bmc-networks.ts";
import { type ConnectBmc, loginLevels } from "./reach/connect-bmc.ts";
import { judgedConnect, type LookUp } from "./reach/judged-connect.ts";
import { bmcService } from "./rpc/bmc-service.ts";
import { Connections, type Suspect } from "./rpc/connections.ts";
import { enrolmentService } from "./rpc/enrolment-service.ts";
import { type Listener, listen, newGrpcServer, requireLoopback } from "./rpc/grpc-server.ts";
import { Guard } from "./rpc/guarded.ts";
import { EnrolmentLimits, type Limits } from "./rpc/limits.ts";
import { bmcRules, enrolmentRules } from "./rpc/rules.ts";
import { withWipedBytes } from "./rpc/wiped-requests.ts";
import { SampledLog } from "./sampled-log.ts";
import { StoppingError } from "./stopping-error.ts";
import { databasePath } from "./store/data-directory.ts";
import { databaseKey } from "./store/database-key.ts";
import { chooseKeySource } from "./store/key-file.ts";
import { requireSound } from "./store/require-sound.ts";
import { SqliteStore } from "./store/sqlite-store.ts";
import type { Store } from "./store/store.ts";
import { StoreLock } from "./store/store-lock.ts";
import { Admission } from "./tokens/admission.ts";
import { Liveness } from "./tokens/liveness.ts";
import { version } from "./version.ts";

/** Where a service stops waiting when it goes down, ms. */
export const stopLimitMs = 10_000;

/** How long who imports a report waits for the remote login, ms: most BMCs answer in two seconds, and a command brings many reports. */
const importPatienceMs = 20_000;

export interface ServiceSettings {
  readonly listen: Endpoint;
  readonly data: string;
  readonly pki: string;
  /** Undefined: one port above `listen` on 127.0.0.1, any free one if that is taken. */
  readonly health: Endpoint | undefined;
  readonly key: string | undefined;
  readonly addresses: AddressMap;
  /** Where BMCs may be; `addresses` may lead elsewhere. */
  readonly networks: BmcNetworks;
  /** Subjects of certificates that agents share. */
  readonly agentCertificates: readonly SubjectAttributes[];
  readonly freshForMs: number;
  readonly sessionMs: number;
  /** How long an enrolment that says nothing keeps another one of its machine waiting, ms. */
  readonly sessionIdleMs: number;
  /** Speak no TLS; only on a loopback address. */
  readonly insecurePlaintext: boolean;
  readonly mostLogins: number;
  readonly limits: Limits;
  readonly keep: KeepTimes;
  readonly policy: Policy & { readonly privilege: 3 | 4 };
  readonly handOffLimits: HandOffLimits;
  readonly powerPatience: PowerPatience;
}

export interface ServiceWorld {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly connect: ConnectBmc;
  /** Default: as the system does it. */
  readonly lookUp?: LookUp;
  readonly log: Logger;
}

/** A service that runs. */
export interface RunningService {
  readonly port: number;
  readonly healthPort: number;
  /** No new calls; what runs gets `limitMs` (default `stopLimitMs`). */
  stop(limitMs?: number): Promise<void>;
}

/**
 * Opens the store, binds both ports and serves.
 * @throws ConfigError, StoreError: then nothing is left open
 */
export async function startService(settings: ServiceSettings, world: ServiceWorld): Promise<RunningService> {
  const { log } = world;
  const connect = judgedConnect(world.connect, settings.networks, settings.addresses, world.lookUp);
  sendGrpcLogTo(log);
  await using cleanUp = new AsyncDisposableStack();
  const pki = settings.insecurePlaintext
    ? requireLoopback(settings.listen)
    : await loadServerPki(settings.pki, new Date());
  const path = await databasePath(settings.data);
  // Before the key: of two services that start at once, one makes it.
  cleanUp.use(new StoreLock(path));
  const store = cleanUp.use(await openStore(path, settings, world.environment));
  const metrics = new Metrics();
  metrics.observeSessions(() => store.countSessions(new Date()));
  metrics.observeStored(() => store.countStored(new Date()));
  metrics.observeRows(() => countByState(store));

  const locks = new BmcLocks();
  const { addresses, networks, policy } = settings;
  const onLogin = metrics.lanLogin;
  const drivers = new DriverList({
    drivers: [
      ipmiDriver({ connect, onLogin, privilege: loginLevels[policy.privilege], patience: settings.powerPatience }),
    ],
    find: (key) => store.bmc(key),
    addresses,
    locks,
    metrics,
  });
  const { privilege } = policy;
  const { mostLogins } = settings;
  const liveness = new Liveness(settings.sessionIdleMs);
  const reach = { connect, addresses, locks, limits: settings.handOffLimits, mostLogins, privilege };
  const handOffs = new HandOffs({ ...reach, store, liveness, metrics, log });

  const stopping = new AbortController();
  const agentsCa = pki === "plaintext" ? undefined : pki.agentsCa;
  const agents = { issuer: agentsCa?.name, shared: settings.agentCertificates };
  const sampled = cleanUp.use(new SampledLog(log));
  const refusals = cleanUp.use(
    new SampledRefusals(store, (error) => log.error({ err: error }, "refused calls not stored")),
  );
  const common = { audit: store, refusals, log, sampled, metrics, stopping: stopping.signal };
  const guarded = { ...common, agents: pki === "plaintext" ? pki : agents };
  const { limits } = settings;
  const suspect: Suspect = (attack, fields, text) => {
    metrics.attack(attack);
    sampled.warn(attack, { attack, ...fields }, text);
  };
  const watch = { limits, connections: cleanUp.use(new Connections(limits, suspect)), suspect, agents };
  const server = newGrpcServer(watch);
  const enrolmentLimits = new EnrolmentLimits(limits, settings.sessionMs, () => store.countStored(new Date()));
  const enrolment = {
    store,
    handOffs,
    metrics,
    admission: new Admission({ store, metrics, liveness, agentsCa, limits: enrolmentLimits }),
    liveness,
    limits: enrolmentLimits,
    policy,
    freshForMs: settings.freshForMs,
    sessionMs: settings.sessionMs,
  };
  const imports = { liveness, keys: reportKeysPath(settings.pki), patienceMs: importPatienceMs };
  server.addService(
    withWipedBytes(EnrolmentServiceService),
    enrolmentService(enrolment, new Guard({ ...guarded, service: "EnrolmentService", rules: enrolmentRules })),
  );
  server.addService(
    withWipedBytes(BmcServiceService),
    bmcService(
      {
        store,
        drivers,
        handOffs,
        reach: { addresses, networks },
        takesTokens: pki === "plaintext" || agentsCa !== undefined,
        imports,
      },
      new Guard({ ...guarded, service: "BmcService", rules: bmcRules }),
    ),
  );
  cleanUp.defer(() => server.forceShutdown());
  const health = cleanUp.use(
    new HealthServer({ metrics, log, probe: () => store.probe(), stopping: () => stopping.signal.aborted }),
  );
  const listener = cleanUp.use(await listen(server, settings.listen, pki, watch));
  const { port } = listener;
  const healthPort = await listenForHealth(health, settings.health, port);
  const healthHost = settings.health?.host ?? "127.0.0.1";
  log.info(
    {
      version,
      listen: formatEndpoint({ host: settings.listen.host, port }),
      health: formatEndpoint({ host: healthHost, port: healthPort }),
      ...(pki === "plaintext"
        ? { plaintext: "no TLS: whoever can use this machine is agent and admin" }
        : { names: pki.names, certificateEnds: pki.notAfter.toISOString(), takesTokens: agentsCa !== undefined }),
      data: settings.data,
    },
    "listening",
  );
  cleanUp.use(startForgetting(store, settings.keep, log));
  await handOffs.settleInterrupted();
  const opened = cleanUp.move();
  return {
    port,
    healthPort,
    async stop(limitMs = stopLimitMs) {
      log.info({ limitMs }, "stopping");
      // Hand-offs first: who follows one hears its end before the streams are closed.
      const calls = shutDown(server, listener, limitMs + 1_000);
      await handOffs.stop(limitMs);
      stopping.abort(new StoppingError());
      await calls;
      await opened.disposeAsync();
      log.info("stopped");
    },
  };
}

/** grpc-js writes to the console by itself; what matters of it is in our errors already. */
function sendGrpcLogTo(log: Logger): void {
  const write = (...texts: unknown[]) => log.debug({ grpc: texts.map(String).join(" ") }, "grpc-js");
  setLogger({ error: write, info: write, debug: write });
}

async function openStore(
  path: string,
  { key, pki }: ServiceSettings,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Store> {
  const opened = await databaseKey(await chooseKeySource({ key, pki }, environment), path);
  await requireSound(path);
  return new SqliteStore(path, opened);
}

async function listenForHealth(health: HealthServer, asked: Endpoint | undefined, port: number): Promise<number> {
  if (asked !== undefined) return health.listen(asked);
  const host = "127.0.0.1";
  try {
    return await health.listen({ host, port: port === 65_535 ? 0 : port + 1 });
  } catch {
    return health.listen({ host, port: 0 });
  }
}

/** Each connection ends when its calls have. */
async function shutDown(server: Server, listener: Listener, limitMs: number): Promise<void> {
  const closed = listener.close();
  // It does not wait for connections that were not its own; `closed` does.
  server.tryShutdown(() => undefined);
  const timer = setTimeout(() => listener[Symbol.dispose](), limitMs);
  await closed;
  clearTimeout(timer);
}

const stateNames = new Map(
  Object.entries(State).map(([name, number]) => [number, name.slice("STATE_".length).toLowerCase()]),
);

async function countByState(store: Store): Promise<ReadonlyMap<string, number>> {
  const counts = await store.countByState();
  return new Map([...counts].map(([state, count]) => [stateNames.get(state) ?? `state ${state}`, count]));
}
