import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import type { Logger } from "pino";
import type { KeyName } from "../../proto/agent-keys.ts";
import { ConfigError, systemReason } from "../config-error.ts";
import { type Endpoint, formatEndpoint } from "../endpoint.ts";
import { HealthServer } from "../health-server.ts";
import { type ClientPki, loadClientPki } from "../pki/load-pki.ts";
import { SampledLog } from "../sampled-log.ts";
import { isThere } from "../store/is-there.ts";
import { version } from "../version.ts";
import type { AllowRule } from "./allow.ts";
import { BootAnswers } from "./boot-answers.ts";
import { type DocumentKeys, readSiteDocument, textOf } from "./boot-document.ts";
import { type BootSource, bootSource } from "./boot-files.ts";
import { BootMetrics } from "./boot-metrics.ts";
import { BootServer } from "./boot-server.ts";
import { commandLine, mostCommandLineBytes } from "./kernel-words.ts";
import { keysInWords, serviceProblem, togetherProblem, wordKeyProblem } from "./key-problem.ts";
import { MachineTokens } from "./machine-tokens.ts";
import { TokenClient, type TokenMaker } from "./token-client.ts";
import { UkiError } from "./uki-command-line.ts";
import { UkiFile } from "./uki-file.ts";

/** For what pixiecore and iPXE add. */
const spareBytes = 256;

export interface BootApiSettings {
  readonly listen: Endpoint;
  /** Under which machines reach it; undefined: at `listen`. */
  readonly url: URL | undefined;
  /** Undefined: one that is free, on 127.0.0.1. */
  readonly health: Endpoint | undefined;
  /** Where the service is for us. */
  readonly service: Endpoint;
  /** Where it is for machines. */
  readonly serviceForMachines: Endpoint;
  readonly pki: string;
  /** Whose certificate of the PKI is shown. */
  readonly role: "boot" | "operator";
  readonly images: string;
  /** Names of files in `images`, or URLs. */
  readonly kernel: string;
  readonly initrds: readonly string[];
  readonly uki: string;
  readonly words: string;
  readonly config: string | undefined;
  readonly allow: readonly AllowRule[];
  readonly tokenTtlMs: number;
  readonly mostPerMinute: number;
  readonly throughPixiecore: boolean;
}

export interface BootApiWorld {
  readonly log: Logger;
  /** Instead of a connection to the service. */
  readonly maker?: TokenMaker;
}

/** A boot server that runs. */
export interface RunningBootApi extends AsyncDisposable {
  /** Under which machines reach it. */
  readonly url: string;
  readonly port: number;
  readonly healthPort: number;
}

/**
 * Looks at files and certificates, binds both ports and serves.
 * @throws ConfigError: then nothing is left open
 */
export async function startBootApi(settings: BootApiSettings, world: BootApiWorld): Promise<RunningBootApi> {
  const { log } = world;
  const { listen, words, throughPixiecore, mostPerMinute, allow } = settings;
  await using cleanUp = new AsyncDisposableStack();
  const { pki, caSha256 } = await readPki(settings);
  const url = urlOf(settings);
  const kernel = await bootSource("--kernel", settings.kernel, settings.images);
  const initrds = await Promise.all(settings.initrds.map((initrd) => bootSource("--initrd", initrd, settings.images)));
  const site: DocumentKeys = settings.config === undefined ? {} : await readSiteDocument(settings.config);
  requireTogether(words, site);
  const ca = pki.ca.toString("latin1");
  const document = { ...site, service: serviceOf(settings), ca };
  requireShort(commandLine({ words, document: `${url}/config.yaml`, caSha256, token: exampleToken }));
  const uki = await openUki(settings, log, (built) => {
    const problem = words === "" ? wordKeyProblem(built) : undefined;
    if (problem !== undefined) throw new UkiError(`the command line that it was built with: ${problem}`);
    return commandLine({ words: words === "" ? built : words, document: `${url}/enrol.yaml`, caSha256 });
  });
  if (uki !== undefined) cleanUp.use(uki);
  const sampled = cleanUp.use(new SampledLog(log));
  const metrics = new BootMetrics();
  const maker = world.maker ?? cleanUp.use(new TokenClient(settings.service, pki));
  const tokens = new MachineTokens({ maker, ttlSeconds: Math.ceil(settings.tokenTtlMs / 1_000) });
  const answers = new BootAnswers({
    ...{ url, allow, tokens, words, caSha256, document, throughPixiecore, mostPerMinute, metrics, log, sampled },
    kernel: kernel.url,
    initrds: initrds.map((each) => each.url),
  });
  const files = new Map([kernel, ...initrds].flatMap(fileOf));
  const server = cleanUp.use(new BootServer({ url, answers, files, uki, ca, document, metrics, log, sampled }));
  const health = cleanUp.use(new HealthServer({ metrics, log, probe: async () => undefined, stopping: () => false }));
  const port = await server.listen(listen);
  const healthPort = await health.listen(settings.health ?? { host: "127.0.0.1", port: 0 });
  log.info(
    {
      version,
      listen: formatEndpoint({ host: listen.host, port }),
      health: formatEndpoint({ host: settings.health?.host ?? "127.0.0.1", port: healthPort }),
      url,
      service: formatEndpoint(settings.service),
      allow: allow.map((rule) => rule.text),
      kernel: kernel.url,
      initrds: initrds.map((each) => each.url),
      uki: uki !== undefined,
    },
    "listening",
  );
  const opened = cleanUp.move();
  return { url, port, healthPort, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

function fileOf({ url, file }: BootSource): [string, string][] {
  return file === undefined ? [] : [[url, file]];
}

/** Of the two the agent takes the command line's. */
function requireTogether(words: string, site: DocumentKeys): void {
  const fromSite = Object.entries(site).map(([name, value]) => [name as KeyName, textOf(value)] as const);
  const problem = togetherProblem(new Map([...fromSite, ...keysInWords(words)]));
  if (problem !== undefined) throw new ConfigError("--cmdline and --config", problem);
}

/** As the document names it. */
function serviceOf({ serviceForMachines }: BootApiSettings): string {
  const text = formatEndpoint(serviceForMachines);
  const problem = serviceProblem(text);
  if (problem !== undefined) throw new ConfigError("--service-for-machines", `to the agent ${problem}`);
  return text;
}

/** As long as each. */
const exampleToken = `rvt_${"0".repeat(48)}`;

function requireShort(line: string): void {
  // pixiecore puts a longer address in the place of the document's.
  const bytes = line.length + spareBytes;
  if (bytes <= mostCommandLineBytes) return;
  const problem = `the command line would have up to ${bytes} bytes, and x86 keeps ${mostCommandLineBytes}`;
  throw new ConfigError("--cmdline", problem);
}

/** What stands on every command line. */
function urlOf({ url, listen }: BootApiSettings): string {
  if (url !== undefined) return url.origin;
  if (["0.0.0.0", "::"].includes(listen.host) || listen.port === 0) {
    throw new ConfigError(
      "--url",
      `it is needed with --listen ${formatEndpoint(listen)}, which is no address for machines`,
    );
  }
  return `http://${formatEndpoint(listen)}`;
}

async function readPki({ pki: directory, role }: BootApiSettings): Promise<{ pki: ClientPki; caSha256: string }> {
  const missing =
    role === "boot" ? "a PKI of an earlier release has none: make a new set, or give --role operator" : "";
  const pki = await loadClientPki(directory, role, new Date(), missing);
  // Machines trust what is pinned alone.
  if (pki.ca.toString("latin1").split("-----BEGIN CERTIFICATE-----").length !== 2) {
    const path = join(directory, "ca.pem");
    throw new ConfigError("--pki", `${path}: one PEM certificate is expected, which machines are to trust`);
  }
  const caSha256 = new X509Certificate(pki.ca).fingerprint256.replaceAll(":", "").toLowerCase();
  return { pki, caSha256 };
}

/** Undefined: there is none, which is no mistake. */
async function openUki(
  { images, uki }: BootApiSettings,
  log: Logger,
  commandLineOf: (built: string) => string,
): Promise<UkiFile | undefined> {
  const path = join(images, uki);
  try {
    if (!(await isThere(path))) return undefined;
    return await UkiFile.open({ path, commandLine: commandLineOf, log });
  } catch (error) {
    const reason = error instanceof UkiError ? error.message : systemReason(error);
    throw new ConfigError("--uki", `${path}: ${reason}`, { cause: error });
  }
}
