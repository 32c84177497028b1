import { readFile } from "node:fs/promises";
import { type KcsAddress, parseKcsAddress } from "../../inband/kcs/kcs-address.ts";
import {
  allowedValues,
  findKey,
  flagOf,
  isAllowedValue,
  type Key,
  type KeyName,
  kernelKeyOf,
  longestWatchedSeconds,
  switchValue,
} from "../../proto/agent-keys.ts";
import { type IpParameter, IpParameterError, parseIpParameter } from "../init/network/ip-parameter.ts";
import type { Credentials, PemOrigin } from "./certificates.ts";
import { ConfigError, fileProblem, quoted, UsageError } from "./config-error.ts";
import type { DocumentKeys } from "./document.ts";
import { isUrl, withoutCredentials } from "./document-location.ts";

export type LogFormat = "text" | "json";

export type Afterwards =
  | { readonly action: "wait" | "poweroff" | "reboot" | "halt" }
  | { readonly action: "exec"; readonly path: string };

/** The settings that need no certificate and no network. */
export interface LocalSettings {
  /** What to do after the run (the key `then`; a property of that name would make this a promise). */
  readonly afterwards: Afterwards;
  readonly log: LogFormat;
  /** Name or MAC address; undefined: any. */
  readonly interface: string | undefined;
  /** How the network is to be brought up; undefined: as the kernel's `ip=` says. */
  readonly ip: IpParameter | undefined;
  /** The VLAN of the network, and the interface that it is on if that is named. */
  readonly vlan: { readonly device: string | undefined; readonly id: number } | undefined;
  /** HTTP proxy for the document; may hold a password. */
  readonly proxy: string | undefined;
  readonly rotate: boolean;
  /** User ID for a new account; undefined: the agent chooses. */
  readonly userSlot: number | undefined;
  /** Switch off logins that need no good password. */
  readonly harden: boolean;
  readonly limitMs: number;
  /** How often the init does the run while it may end better the next time. */
  readonly tries: number;
  /** What the init does when the kernel holds it. */
  readonly stuck: "reboot" | "wait";
  readonly stuckLimitMs: number;
  /** Whether the BMC watches the run. */
  readonly watchdog: boolean;
  readonly networkLimitMs: number;
  readonly serviceLimitMs: number;
  readonly bmcLimitMs: number;
  /** HOST or HOST:PORT each; who tells the time if the clock is wrong. */
  readonly ntp: readonly string[];
  /** Undefined: as the firmware says. */
  readonly kcs: KcsAddress | undefined;
  /** File for the next program of the ramdisk. */
  readonly outcomeFile: string;
  /** Whether a guest leaves the network up that it brought up. */
  readonly keepNetwork: boolean;
  /** The technician's screen, and the chassis identify light. */
  readonly screen: "auto" | "1" | "0";
  readonly led: "auto" | "1" | "0";
  /** Whether the init loads the kernel's IPMI drivers. */
  readonly ipmiDriver: boolean;
  /** Whether there is a stick with the document, for reports. */
  readonly stick: boolean;
  readonly offline: "auto" | "always" | "never";
  /** Public key of the service: "x25519:..."; undefined: no report can be sealed. */
  readonly reportKey: string | undefined;
  /** Name of the place; "" if nobody gave it one. */
  readonly site: string;
  /** Of accounts that are made without a service. */
  readonly offlinePolicy: { readonly userNamePrefix: string; readonly privilege: 3 | 4 };
}

export interface Settings extends LocalSettings {
  /** HOST:PORT; empty if there is none: the run is kept on the stick. */
  readonly service: string;
  /** "plaintext": there is no TLS. "none": there is no service. */
  readonly credentials: Credentials | "plaintext" | "none";
  /** Enrolment token: secret, wiped when it was spent. */
  readonly token: Buffer | undefined;
}

/** One source of values, in the order in which they win. */
export interface Source {
  /** "flag", "kernel command line", or the document's name. */
  readonly name: string;
  readonly kind: "flag" | "kernel" | "document";
  readonly values: ReadonlyMap<KeyName, string>;
}

interface Given {
  readonly key: Key & { name: KeyName };
  readonly value: string;
  readonly source: Source;
}

export const defaultDocument = "/etc/metal-rivet/config.yaml";

const spelled = (key: Key, kind: Source["kind"]): string =>
  kind === "flag" ? flagOf(key) : kind === "kernel" ? kernelKeyOf(key) : key.name;

function find(sources: readonly Source[], name: KeyName): Given | undefined {
  const key = findKey(name);
  if (!key) return undefined;
  for (const source of sources) {
    const value = source.values.get(name);
    if (value !== undefined) return { key, value, source };
  }
  return undefined;
}

function refuse({ key, value, source }: Given): never {
  const shown = key.secret ? "[hidden]" : quoted(value);
  const why = key.name === "ip" ? ipProblem(value) : undefined;
  const problem = `${shown} is not allowed${why === undefined ? `; allowed: ${allowedValues(key.type)}` : `: ${why}`}`;
  if (source.kind === "flag") throw new UsageError(flagOf(key), problem);
  throw new ConfigError(source.name, spelled(key, source.kind), problem);
}

/** What is wrong with a value of `ip`, and in which field; undefined: nothing. */
function ipProblem(value: string): string | undefined {
  try {
    parseIpParameter(value);
    return undefined;
  } catch (error) {
    if (error instanceof IpParameterError) return error.message;
    throw error;
  }
}

function vlanOf(value: string | undefined): LocalSettings["vlan"] {
  if (value === undefined) return undefined;
  const dot = value.lastIndexOf(".");
  return { device: dot < 0 ? undefined : value.slice(0, dot), id: Number(value.slice(dot + 1)) };
}

function isAllowed({ key, value }: Given): boolean {
  if (!isAllowedValue(key, value)) return false;
  if (key.name === "ip") return ipProblem(value) === undefined;
  return key.name !== "kcs" || parseKcsAddress(value) !== undefined;
}

/**
 * The settings that need no network. Every value of every source is checked, also one that another source overrides.
 * Throws ConfigError or UsageError naming source, key and what is allowed.
 */
export function localSettings(sources: readonly Source[]): LocalSettings {
  for (const source of sources) {
    for (const [name, value] of source.values) {
      const key = findKey(name);
      if (key && !isAllowed({ key, value, source })) refuse({ key, value, source });
    }
  }
  const text = (name: KeyName): string => find(sources, name)?.value ?? findKey(name)?.default ?? "";
  const userSlot = find(sources, "user_slot")?.value;
  const milliseconds = (name: KeyName): number => Number(text(name)) * 1000;
  const watchdog = switchValue(text("watchdog")) === true;
  if (watchdog) requireWatchable(find(sources, "limit"));
  const givenIp = find(sources, "ip")?.value;
  const ip = givenIp === undefined ? undefined : parseIpParameter(givenIp);
  return {
    afterwards: afterwardsOf(text("then")),
    log: text("log") === "json" ? "json" : "text",
    interface: find(sources, "interface")?.value.toLowerCase().replaceAll("-", ":") ?? undefined,
    ip,
    vlan: vlanOf(find(sources, "vlan")?.value),
    proxy: find(sources, "proxy")?.value,
    rotate: switchValue(text("rotate")) === true,
    harden: switchValue(text("harden")) === true,
    userSlot: userSlot === undefined ? undefined : Number(userSlot),
    limitMs: milliseconds("limit"),
    tries: Number(text("tries")),
    stuck: text("stuck") === "wait" ? "wait" : "reboot",
    stuckLimitMs: milliseconds("stuck_limit"),
    watchdog,
    networkLimitMs: milliseconds("network_limit"),
    serviceLimitMs: milliseconds("service_limit"),
    bmcLimitMs: milliseconds("bmc_limit"),
    ntp: (find(sources, "ntp")?.value ?? ip?.ntp ?? "").split(",").filter(Boolean),
    kcs: parseKcsAddress(text("kcs")),
    outcomeFile: text("outcome"),
    keepNetwork: switchValue(text("keep_network")) === true,
    screen: text("screen") as LocalSettings["screen"],
    led: text("led") as LocalSettings["led"],
    ipmiDriver: text("ipmi_driver") === "1",
    stick: switchValue(text("stick")) === true,
    offline: offlineModes[text("offline") as keyof typeof offlineModes],
    reportKey: find(sources, "report_key")?.value,
    site: text("site"),
    offlinePolicy: { userNamePrefix: text("user_prefix"), privilege: text("privilege") === "operator" ? 3 : 4 },
  };
}

const offlineModes = { auto: "auto", 1: "always", 0: "never" } as const;

/** Whether a run can be kept on the stick, if no service is reached. */
export function canGoOffline({ stick, offline, reportKey }: LocalSettings): boolean {
  return stick && offline !== "never" && reportKey !== undefined;
}

/** @throws ConfigError if the run shall be kept on the stick, but cannot be */
function requireOffline({ stick, offline, reportKey }: LocalSettings): void {
  if (offline !== "always") return;
  const missing = stick ? "report_key" : "stick";
  if (stick && reportKey !== undefined) return;
  const remedy = stick ? "put in the line that `bmc-service import-key` prints" : "boot from a stick (rivet.stick=1)";
  throw new ConfigError("configuration", missing, `is not set, and offline=1 needs it: ${remedy}`);
}

/** A countdown that ended before the run would reset a machine that is all right. */
function requireWatchable(limit: Given | undefined): void {
  if (limit === undefined || Number(limit.value) <= longestWatchedSeconds) return;
  const { key, value, source } = limit;
  const most = `with watchdog at most ${longestWatchedSeconds} seconds, because the BMC counts down from 6553`;
  throw new ConfigError(source.name, spelled(key, source.kind), `${quoted(value)} is too long; ${most}`);
}

function afterwardsOf(text: string): Afterwards {
  if (text.startsWith("exec:")) return { action: "exec", path: text.slice(5) };
  return { action: text as "wait" | "poweroff" | "reboot" | "halt" };
}

/** Where the document is: what `config` says, else the default one if it exists, else pixie's. */
export async function findDocument(
  sources: readonly Source[],
  pixieApiUrl: string | undefined,
  exists: (path: string) => Promise<boolean>,
): Promise<{ readonly location: string; readonly source: string } | undefined> {
  const given = find(sources, "config");
  if (given) return { location: given.value, source: documentName(given.value) };
  if (await exists(defaultDocument)) return { location: defaultDocument, source: documentName(defaultDocument) };
  if (pixieApiUrl === undefined) return undefined;
  const location = certsOf(pixieApiUrl);
  return { location, source: documentName(location) };
}

/** Some give the URL of pixie, some that of its /certs: metal-roles sets the latter, and metal-hammer asks it as it is. */
function certsOf(pixieApiUrl: string): string {
  const url = new URL(pixieApiUrl);
  const path = url.pathname.replace(/\/+$/, "");
  url.pathname = path.endsWith("/certs") ? path : `${path}/certs`;
  return url.href;
}

const documentName = (location: string): string =>
  `document ${isUrl(location) ? withoutCredentials(location) : location}`;

/**
 * Reads the document, from a file or by HTTP. `fetchUrl` is only called for a URL.
 * Throws ConfigError for a file that cannot be read and for bad contents.
 */
export async function loadDocument(
  document: { readonly location: string; readonly source: string },
  fetchUrl: (url: string) => Promise<Uint8Array>,
): Promise<Source> {
  const { readDocument } = await import("./document.ts");
  let bytes: Uint8Array;
  if (isUrl(document.location)) bytes = await fetchUrl(document.location);
  else {
    try {
      bytes = await readFile(document.location);
    } catch (error) {
      throw new ConfigError(document.source, "document", `cannot be read: ${fileProblem(error)}`, { cause: error });
    }
  }
  try {
    const { values }: DocumentKeys = await readDocument(bytes, document.source);
    return { name: document.source, kind: "document", values };
  } finally {
    // It may hold a private key and a token.
    bytes.fill(0);
  }
}

/** All settings. Throws ConfigError naming what is missing and every place where it can be given. */
export async function completeSettings(sources: readonly Source[]): Promise<Settings> {
  const local = localSettings(sources);
  const required = (name: KeyName): Given => {
    const given = find(sources, name);
    if (given) return given;
    const key = findKey(name) as Key;
    const places = `${flagOf(key)}, ${kernelKeyOf(key)}= or ${key.name} in the document`;
    const looked = sources.map((source) => source.name).join(", ");
    throw new ConfigError("configuration", name, `is not set (looked at: ${looked}); give ${places}`);
  };
  requireOffline(local);
  if (canGoOffline(local) && (local.offline === "always" || find(sources, "service") === undefined)) {
    return { ...local, service: "", token: undefined, credentials: "none" };
  }
  const service = required("service").value;
  const token = find(sources, "token");
  const withToken = { ...local, service, token: token && Buffer.from(token.value) };
  if (switchValue(find(sources, "insecure_plaintext")?.value ?? "") === true) {
    return { ...withToken, credentials: "plaintext" };
  }
  const origin = (name: "ca" | "cert" | "key"): PemOrigin => {
    const { value, source, key } = required(name);
    const inline = source.kind === "document";
    return { source: source.name, option: spelled(key, source.kind), value, inline };
  };
  const hasOwn = find(sources, "cert") !== undefined || find(sources, "key") !== undefined;
  if (!hasOwn && token === undefined) {
    throw new ConfigError(
      "configuration",
      "cert",
      "there is neither a certificate nor an enrolment token; " +
        "give cert and key, or an enrolment token (bmcctl token create) as rivet.token= or token in the document",
    );
  }
  const ca = origin("ca");
  const own = hasOwn ? { cert: origin("cert"), key: origin("key") } : undefined;
  const caSha256 = find(sources, "ca_sha256")?.value;
  const { loadCredentials } = await import("./certificates.ts");
  const credentials = await loadCredentials({ ca, ...(own && { own }), ...(caSha256 !== undefined && { caSha256 }) });
  return { ...withToken, credentials };
}
