import { reportKeyPattern } from "./report-seal.ts";

/**
 * The keys of the agent's configuration, each written once. Its flags, keys of the kernel command line, keys of the document, the
 * help and the README's table follow from this list, and so does what the boot server lets into command lines and documents.
 */

/** What a value must look like. */
export type ValueType =
  | { readonly kind: "text"; readonly pattern: RegExp; readonly allowed: string }
  | { readonly kind: "choice"; readonly choices: readonly string[] }
  | { readonly kind: "switch" }
  | { readonly kind: "seconds"; readonly min: number; readonly max: number }
  | { readonly kind: "number"; readonly min: number; readonly max: number }
  /** A PEM text: inline in a document, the path of a file everywhere else. */
  | { readonly kind: "pem" };

export interface Key {
  /** As in the document: lower-case letters and underscores. */
  readonly name: string;
  readonly type: ValueType;
  /** Placeholder in the help; none for a switch. */
  readonly placeholder?: string;
  /** As it would be written; undefined where there is none. */
  readonly default?: string;
  readonly description: string;
  /** The value is shown as [hidden]. */
  readonly secret?: true;
  /** Not allowed in a document. */
  readonly notInDocument?: true;
  /** Not a flag of the program: everybody on a machine can read those. */
  readonly notAsFlag?: true;
}

const hostAndPort = /^(\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?):([1-9]\d{0,4})$/;

const ntpServer = String.raw`(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[1-9]\d{0,4})?`;
/** One NTP server. */
export const ntpServerForm = new RegExp(`^${ntpServer}$`);
/** How many of them are asked. */
export const mostNtpServers = 4;
const ntpServers = new RegExp(`^${ntpServer}(,${ntpServer}){0,${mostNtpServers - 1}}$`);

/** Where KCS registers may be, in words. */
export const allowedKcsAddresses =
  "io:0xca2 or io:0xca2,spacing=N with 1, 2, 4, 8 or 16 bytes from register to register; registers in memory (mem:) only the kernel's driver can reach, by what the firmware says";

/** Longest `limit` with `watchdog`, seconds: the BMC counts down from 6553.5 s at most, and waits a minute longer than the run. */
export const longestWatchedSeconds = 6_493;

export const keys = [
  {
    name: "service",
    type: { kind: "text", pattern: hostAndPort, allowed: "HOST:PORT, 10.0.0.1:4443 or [fd00::1]:4443" },
    placeholder: "HOST:PORT",
    description: "address of the BMC service; its certificate must name this host",
  },
  {
    name: "config",
    type: {
      kind: "text",
      pattern: /^(https?:\/\/[^\s/]+.*|[^\s:]+)$/s,
      allowed: "a path or an http:// or https:// URL",
    },
    placeholder: "FILE|URL",
    default: "/etc/metal-rivet/config.yaml",
    description: "document (JSON or YAML) with these keys; the default is read only if it exists",
    notInDocument: true,
  },
  {
    name: "ca",
    type: { kind: "pem" },
    placeholder: "FILE",
    description: "certificate of the authority that signed the service's certificate",
  },
  {
    name: "cert",
    type: { kind: "pem" },
    placeholder: "FILE",
    description: "certificate of this agent",
  },
  {
    name: "key",
    type: { kind: "pem" },
    placeholder: "FILE",
    description: "private key of `cert`, not encrypted",
    secret: true,
  },
  {
    name: "token",
    type: { kind: "text", pattern: /^[\x21-\x7e]{16,256}$/, allowed: "the text that `bmcctl token create` prints" },
    placeholder: "TEXT",
    description: "enrolment token: with it, `cert` and `key` are not needed",
    secret: true,
    notAsFlag: true,
  },
  {
    name: "ca_sha256",
    type: {
      kind: "text",
      pattern: /^[0-9a-f]{2}(?::?[0-9a-f]{2}){31}$/i,
      allowed: "32 bytes in hexadecimal, with or without colons",
    },
    placeholder: "HEX",
    description: "SHA-256 of the certificate in `ca` (DER): with it, `ca` may come by a road that is not trusted",
    notInDocument: true,
  },
  {
    name: "insecure_plaintext",
    type: { kind: "switch" },
    default: "0",
    description: "speak no TLS, for tests; only with a `service` at 127.0.0.1 or [::1]",
    notInDocument: true,
  },
  {
    name: "rotate",
    type: { kind: "switch" },
    default: "0",
    description: "make a new account even if the BMC is known and its account works",
  },
  {
    name: "user_slot",
    type: { kind: "number", min: 2, max: 63 },
    placeholder: "N",
    description: "user ID on the BMC for a new account; one that somebody else has is refused",
  },
  {
    name: "harden",
    type: { kind: "switch" },
    default: "0",
    description: "with a new account, switch off cipher suites 0 and 1 and authentication type none on its LAN channel",
  },
  {
    name: "then",
    type: {
      kind: "text",
      pattern: /^(wait|poweroff|reboot|halt|exec:\/.+)$/s,
      allowed: "wait, poweroff, reboot, halt or exec:/PATH",
    },
    placeholder: "ACTION",
    default: "wait",
    description: "what to do after the run, as init only: wait, poweroff, reboot, halt, exec:/PATH",
  },
  {
    name: "log",
    type: { kind: "choice", choices: ["text", "json"] },
    placeholder: "FORMAT",
    default: "text",
    description: "lines for people (text) or one JSON object a line (json)",
  },
  {
    name: "interface",
    type: {
      kind: "text",
      pattern: /^([A-Za-z0-9._-]{1,15}|[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5})$/,
      allowed: "the name of an interface (eth0) or its MAC address",
    },
    placeholder: "NAME|MAC",
    description: "interface for DHCP, as init only; without it the first one that gets an offer",
  },
  {
    name: "ip",
    type: { kind: "text", pattern: /^\S+$/, allowed: "as the kernel's ip=" },
    placeholder: "IP",
    description:
      "how the network is brought up, as init only, in the kernel's words: dhcp, auto6, off, DEVICE:dhcp, or CLIENT::GATEWAY:MASK:HOST:DEVICE:off:DNS; without it what the kernel's own `ip=` says, else DHCP and IPv6 side by side",
  },
  {
    name: "vlan",
    type: {
      kind: "text",
      pattern: /^([A-Za-z0-9_-][A-Za-z0-9._-]{0,12}\.)?[1-9]\d{0,3}$/,
      allowed: "1 to 4094, or with an interface eth0.5",
    },
    placeholder: "ID",
    description: "VLAN that the network is on (ID, or DEVICE.ID), as init only; frames are tagged then",
  },
  {
    name: "proxy",
    type: {
      kind: "text",
      pattern: /^http:\/\/([^\s/@]+@)?(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)(:[1-9]\d{0,4})?\/?$/,
      allowed: "http://HOST:PORT, or with user and password http://USER:PASSWORD@HOST:PORT",
    },
    placeholder: "URL",
    description: "HTTP proxy for the document, by CONNECT if that is https://; the service is never reached by it",
    secret: true,
    notAsFlag: true,
  },
  {
    name: "limit",
    type: { kind: "seconds", min: 10, max: 86_400 },
    placeholder: "SECONDS",
    default: "900",
    description: "time for the whole run",
  },
  {
    name: "tries",
    type: { kind: "number", min: 1, max: 1000 },
    placeholder: "N",
    default: "10",
    description: "how often the run is tried, as init only, while it ends with exit code 69, 70 or 75",
  },
  {
    name: "stuck",
    type: { kind: "choice", choices: ["reboot", "wait"] },
    placeholder: "ACTION",
    default: "reboot",
    description:
      "what to do, as init only, when the kernel holds the agent for longer than `stuck_limit`: reboot or wait",
    notInDocument: true,
  },
  {
    name: "stuck_limit",
    type: { kind: "seconds", min: 5, max: 86_400 },
    placeholder: "SECONDS",
    default: "120",
    description: "how long a driver may hold the agent, as init only",
    notInDocument: true,
  },
  {
    name: "network_limit",
    type: { kind: "seconds", min: 1, max: 86_400 },
    placeholder: "SECONDS",
    default: "180",
    description: "time to get a link and a DHCP lease, as init only",
  },
  {
    name: "service_limit",
    type: { kind: "seconds", min: 1, max: 86_400 },
    placeholder: "SECONDS",
    default: "300",
    description: "time to retry while the service (or the URL of the document) cannot be reached",
  },
  {
    name: "bmc_limit",
    type: { kind: "seconds", min: 1, max: 86_400 },
    placeholder: "SECONDS",
    default: "180",
    description: "time to wait until the BMC is ready, and again for one that restarts in the middle",
  },
  {
    name: "ntp",
    type: { kind: "text", pattern: ntpServers, allowed: "HOST[:PORT][,HOST[:PORT]], at most 4" },
    placeholder: "HOST[,HOST]",
    description:
      "NTP servers that are asked for the time if a certificate, of the service or of the document's server, is not valid by the clock",
  },
  {
    name: "watchdog",
    type: { kind: "switch" },
    default: "0",
    description:
      "have the BMC reset the machine if the run has not ended a minute after `limit`, which then may be 6493 s at most",
  },
  {
    name: "kcs",
    type: {
      kind: "text",
      pattern: /^io:0x[0-9a-f]{1,4}(,spacing=(1|2|4|8|16))?$/i,
      allowed: allowedKcsAddresses,
    },
    placeholder: "ADDRESS",
    description:
      "where the BMC's KCS registers are, as io:0xca2,spacing=1; for the IPMI driver, as init, and for raw KCS where there is none. Without it the firmware's word counts",
    notInDocument: true,
  },
  {
    name: "stick",
    type: { kind: "switch" },
    default: "0",
    description:
      "take the document from `metal-rivet.yaml` on the stick (FAT, label RIVET), and keep reports there, as init only",
    notInDocument: true,
    notAsFlag: true,
  },
  {
    name: "offline",
    type: { kind: "choice", choices: ["auto", "1", "0"] },
    placeholder: "auto|1|0",
    default: "auto",
    description:
      "with `stick`, enrol without a service and keep a sealed report on the stick: auto where no service is named or reached and `report_key` is set, 1 always, 0 never",
    notAsFlag: true,
  },
  {
    name: "report_key",
    type: { kind: "text", pattern: reportKeyPattern, allowed: "what `bmc-service import-key` prints" },
    placeholder: "KEY",
    description: "public key of the service, to which passwords in reports are sealed",
    notAsFlag: true,
  },
  {
    name: "site",
    type: {
      kind: "text",
      pattern: /^[\x21-\x7e]([\x20-\x7e]{0,62}[\x21-\x7e])?$/,
      allowed: "1 to 64 printable ASCII characters, no space at either end",
    },
    placeholder: "TEXT",
    description:
      "name of the place where the machine stands: shown on the screen, told to the service, kept in the report",
  },
  {
    name: "user_prefix",
    type: {
      kind: "text",
      pattern: /^[a-z][a-z0-9]{0,7}$/,
      allowed: "1 to 8 lower-case letters and digits, a letter first",
    },
    placeholder: "PREFIX",
    default: "rivet",
    description: "how the user names of new accounts begin, where no service says so",
    notAsFlag: true,
  },
  {
    name: "privilege",
    type: { kind: "choice", choices: ["administrator", "operator"] },
    placeholder: "LEVEL",
    default: "administrator",
    description: "privilege of new accounts, where no service says so",
    notAsFlag: true,
  },
  {
    name: "outcome",
    type: { kind: "text", pattern: /^\/.*[^/]$/s, allowed: "an absolute path" },
    placeholder: "FILE",
    default: "/run/metal-rivet/outcome.json",
    description: "where the run's end is written for the next program",
    notInDocument: true,
  },
  {
    name: "keep_network",
    type: { kind: "switch" },
    default: "0",
    description: "as /inito, leave the network up that was brought up for the run",
  },
  {
    name: "screen",
    type: { kind: "choice", choices: ["auto", "1", "0"] },
    placeholder: "auto|1|0",
    default: "auto",
    description:
      "show the technician's screen on the local console, as init only: auto from a stick, or where the kernel's console is the local one",
    notInDocument: true,
    notAsFlag: true,
  },
  {
    name: "led",
    type: { kind: "choice", choices: ["auto", "1", "0"] },
    placeholder: "auto|1|0",
    default: "auto",
    description:
      "show by the chassis identify light how the run goes, as init only: blinking, steady when linked; auto with the screen",
    notInDocument: true,
    notAsFlag: true,
  },
  {
    name: "ipmi_driver",
    type: { kind: "choice", choices: ["1", "0"] },
    placeholder: "0|1",
    default: "1",
    description: "load the kernel's IPMI drivers, as init only; 0: leave the BMC to raw KCS over /dev/port",
    notInDocument: true,
  },
] as const satisfies readonly Key[];

export type KeyName = (typeof keys)[number]["name"];

const byName: ReadonlyMap<string, Key> = new Map(keys.map((key) => [key.name, key]));

/** The key of that name (underscores); undefined for an unknown one. */
export const findKey = (name: string): (Key & { name: KeyName }) | undefined =>
  byName.get(name) as (Key & { name: KeyName }) | undefined;

/** `--service-limit` for `service_limit`. */
export const flagOf = (key: Pick<Key, "name">): string => `--${key.name.replaceAll("_", "-")}`;

/** `rivet.service_limit` for `service_limit`. */
export const kernelKeyOf = (key: Pick<Key, "name">): string => `rivet.${key.name}`;

/** What is allowed, in words. */
export function allowedValues(type: ValueType): string {
  switch (type.kind) {
    case "text":
      return type.allowed;
    case "choice":
      return type.choices.join(" or ");
    case "switch":
      return "1, true, yes, on or 0, false, no, off";
    case "seconds":
      return `${type.min} to ${type.max} seconds, a whole number`;
    case "number":
      return `${type.min} to ${type.max}, a whole number`;
    case "pem":
      return "PEM (-----BEGIN ...) in a document, the path of a PEM file elsewhere";
    default:
      return type satisfies never;
  }
}

/**
 * Whether a value may stand there. Of `ip` and `kcs` it sees the form alone: the agent, which reads them, looks closer.
 */
export function isAllowedValue({ name, type }: Pick<Key, "name" | "type">, value: string): boolean {
  switch (type.kind) {
    case "text":
      if (!type.pattern.test(value) || /[\0\n]/.test(value)) return false;
      if (name === "vlan") return Number(value.slice(value.lastIndexOf(".") + 1)) <= 4094;
      return name !== "service" || Number(value.slice(value.lastIndexOf(":") + 1)) <= 65_535;
    case "choice":
      return type.choices.includes(value);
    case "switch":
      return switchValue(value) !== undefined;
    case "seconds":
    case "number": {
      const number = /^\d{1,6}$/.test(value) ? Number(value) : Number.NaN;
      return number >= type.min && number <= type.max;
    }
    case "pem":
      return value !== "";
    default:
      return type satisfies never;
  }
}

/** Undefined for what no switch can be. */
export function switchValue(text: string): boolean | undefined {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  return /^(0|false|no|off)$/i.test(text) ? false : undefined;
}

/** The README's table of the configuration, in Markdown. */
export function configTable(): string {
  const rows = keys.map((key: Key) => [
    key.notAsFlag ? "-" : `\`${flagOf(key)}${key.placeholder ? ` ${key.placeholder.replaceAll("|", "\\|")}` : ""}\``,
    `\`${kernelKeyOf(key)}=\``,
    key.notInDocument ? "-" : `\`${key.name}\``,
    key.default === undefined ? "-" : `\`${key.default}\``,
    key.description + (key.type.kind === "pem" ? " (PEM inline in the document)" : ""),
  ]);
  const head = ["flag", "kernel command line", "document", "default", "meaning"];
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
