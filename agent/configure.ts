import { access } from "node:fs/promises";
import type { KeyName } from "../proto/agent-keys.ts";
import { parseKernelCommandLine } from "../proto/kernel-words.ts";
import { ConfigError } from "./config/config-error.ts";
import type { DocumentDate } from "./config/fetch-document.ts";
import { kernelSource, readKernelKeys } from "./config/kernel-command-line.ts";
import {
  type Afterwards,
  completeSettings,
  findDocument,
  type LocalSettings,
  loadDocument,
  localSettings,
  type Settings,
  type Source,
} from "./config/settings.ts";
import { type Console, durationText } from "./console.ts";
import type { StickMedium } from "./stick/medium.ts";

/** The sources that are there before any file or network is. */
export interface LocalSources {
  readonly sources: readonly Source[];
  readonly pixieApiUrl: string | undefined;
  /** The kernel's own `ip=`, which says how the network is brought up if no key of ours does. */
  readonly kernelIps?: readonly string[];
  readonly remarks: readonly string[];
  readonly local: LocalSettings;
  /** Whether the document is among the sources already: it was on the stick. */
  readonly hasDocument?: boolean;
  /** Other defaults than those of the keys. */
  readonly defaults?: Source | undefined;
}

/**
 * Reads flags and kernel command line (the bytes of /proc/cmdline).
 * @param defaults what counts where neither they nor the document have a key
 * Throws ConfigError or UsageError.
 */
export function readLocalSources(
  flags: ReadonlyMap<KeyName, string>,
  cmdline: Uint8Array,
  defaults?: Source,
): LocalSources {
  const kernel = readKernelKeys(cmdline);
  const sources: Source[] = [
    ...(flags.size > 0 ? [{ name: "flags", kind: "flag" as const, values: flags }] : []),
    { name: kernelSource, kind: "kernel", values: kernel.values },
  ];
  const { pixieApiUrl, ips: kernelIps, remarks } = kernel;
  return { sources, pixieApiUrl, kernelIps, remarks, defaults, local: localSettings(withDefaults(sources, defaults)) };
}

/** The first source that has a key wins. */
const withDefaults = (sources: readonly Source[], defaults: Source | undefined): readonly Source[] =>
  defaults === undefined ? sources : [...sources, defaults];

/**
 * The sources with the document of the stick, if `stick` asks for it: it lies on this machine, so it may also say how the network
 * is reached. A `config` that is given comes first.
 * @throws StickError, ConfigError
 */
export async function withStickDocument(
  from: LocalSources,
  console: Pick<Console, "task">,
  medium?: StickMedium,
): Promise<LocalSources> {
  if (!from.local.stick || from.sources.some(({ values }) => values.has("config"))) return from;
  const startedAt = performance.now();
  const [{ readStickDocument }, { realMedium }, { systemClock }] = await Promise.all([
    import("./stick/stick-document.ts"),
    import("./stick/real-medium.ts"),
    import("../inband/clock.ts"),
  ]);
  const document = await readStickDocument(medium ?? realMedium, systemClock);
  console.task("read the stick", performance.now() - startedAt, document?.name ?? "it has no metal-rivet.yaml");
  if (document === undefined) {
    const isNamed = from.sources.some(({ values }) => values.has("service") || values.has("report_key"));
    if (isNamed || from.pixieApiUrl !== undefined) return from;
    // Also what a damaged file system looks like: without it nothing tells what to do.
    throw new ConfigError("stick", "metal-rivet.yaml", "is not on it; copy it there, or write the stick anew");
  }
  const sources = [...from.sources, document];
  return { ...from, sources, local: localSettings(withDefaults(sources, from.defaults)), hasDocument: true };
}

/** All settings, and what time it was when the document came, if a server sent it. */
export interface CompleteSettings extends Settings {
  readonly documentDate?: DocumentDate | undefined;
  /** Whether the run is kept on the stick because there is no network. */
  readonly withoutNetwork?: boolean;
}

/** What `then` asks for, if that can be told although another key is wrong: a machine shall not stay on for a typing error. */
export function peekAfterwards(cmdline: Uint8Array): Afterwards {
  const given = parseKernelCommandLine(Buffer.from(cmdline).toString("latin1").trimEnd());
  const values = given.flatMap(({ name, value }) => (name === "rivet.then" && value !== undefined ? [value] : []));
  const [only, ...others] = values;
  if (only === undefined || others.length > 0) return { action: "wait" };
  try {
    return localSettings([{ name: kernelSource, kind: "kernel", values: new Map([["then", only]]) }]).afterwards;
  } catch {
    return { action: "wait" };
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

/**
 * Where nothing names a service, and nothing a place where one may be named, nothing is worth waiting for.
 * Throws ConfigError, which says what can be given.
 */
export async function requireAnySource(from: LocalSources): Promise<void> {
  const { sources, pixieApiUrl, local } = from;
  if (local.stick || sources.some(({ values }) => values.has("service"))) return;
  if ((await findDocument(sources, pixieApiUrl, exists)) !== undefined) return;
  await completeSettings(sources);
}

/**
 * All settings, the document included, which may lie behind the network.
 * Throws ConfigError, UsageError or DocumentUnavailableError.
 */
export async function readSettings(
  from: LocalSources,
  console: Console,
  signal?: AbortSignal,
): Promise<CompleteSettings> {
  const complete = (more: readonly Source[]) =>
    completeSettings(withDefaults([...from.sources, ...more], from.defaults));
  if (from.hasDocument === true) return await complete([]);
  const document = await findDocument(from.sources, from.pixieApiUrl, exists);
  if (!document) return await complete([]);
  const startedAt = performance.now();
  let documentDate: DocumentDate | undefined;
  const loaded = await loadDocument(document, async (url) => {
    const { fetchDocument } = await import("./config/fetch-document.ts");
    const fetch = () =>
      fetchDocument(url, {
        limitMs: from.local.serviceLimitMs,
        proxy: from.local.proxy,
        onRetry: (attempt, waitMs, reason) =>
          console.note(`${document.source}: ${reason}; try ${attempt + 1} in ${durationText(waitMs)}`),
        onDate: (date) => {
          documentDate = date;
        },
        ...(signal ? { signal } : {}),
      });
    return await fetch().catch(async (error: Error) => {
      if (!("clockFault" in error) || error.clockFault === undefined) throw error;
      const [{ retryWithCorrectClock }, { realClock }] = await Promise.all([
        import("./clock/correct-clock.ts"),
        import("./clock/real-clock.ts"),
      ]);
      const { ntp } = from.local;
      const clock = realClock({ ntp }, (text) => console.note(text), "The document server's");
      return await retryWithCorrectClock(error, fetch, clock, signal ?? new AbortController().signal);
    });
  });
  console.task("read configuration", performance.now() - startedAt, document.source);
  return { ...(await complete([loaded])), documentDate };
}
