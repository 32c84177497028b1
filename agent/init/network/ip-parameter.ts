/**
 * The kernel's parameter `ip=`, which says how a machine gets its address: Documentation/admin-guide/nfs/nfsroot.rst in Linux;
 * with what dracut.cmdline(7) adds, addresses of IPv6 in brackets among it.
 *
 *   ip=METHOD
 *   ip=DEVICE:METHOD[:MTU]
 *   ip=CLIENT[:SERVER:GATEWAY:MASK:HOSTNAME:DEVICE:METHOD[:DNS0[:DNS1[:NTP]]]]
 *   ip=CLIENT:SERVER:GATEWAY:MASK:HOSTNAME:DEVICE:METHOD:MTU
 *
 * As in Linux (net/ipv4/ipconfig.c) 0.0.0.0 counts as not given. The MAC address that dracut takes behind the MTU is refused:
 * an adapter keeps its own.
 */
import { isIPv4, isIPv6 } from "node:net";
import { quoted } from "../../config/config-error.ts";

/** An address by hand. */
export interface StaticAddress {
  readonly family: 4 | 6;
  readonly address: string;
  /** 0 to 32, or to 128 */
  readonly prefixLength: number;
}

/** How the network is to be brought up. What is given here comes before what a server tells. */
export interface IpParameter {
  /** "off": not at all. */
  readonly method: "off" | "static" | "dhcp" | "ipv6" | "both";
  readonly device: string | undefined;
  readonly mtu: number | undefined;
  readonly ntp: string | undefined;
  readonly gateway: string | undefined;
  /** Of IPv4, where a server gives the address. */
  readonly prefixLength: number | undefined;
  readonly hostName: string | undefined;
  readonly dns: readonly string[];
  /** Of the method "static". */
  readonly static: StaticAddress | undefined;
}

/** What is wrong with the text, and in which field. */
export class IpParameterError extends Error {
  override readonly name = "IpParameterError";
  readonly code = "ip-parameter";
}

const methods: ReadonlyMap<string, IpParameter["method"]> = new Map([
  ["off", "off"],
  ["none", "off"],
  ["static", "static"],
  ...["dhcp", "on", "any", "both", "bootp", "single-dhcp"].map((name) => [name, "dhcp"] as const),
  ...["auto6", "dhcp6"].map((name) => [name, "ipv6"] as const),
  ["either6", "both"],
]);

const methodText = "dhcp, on, any, off, none, auto6, dhcp6 or either6";
const fieldNames = [
  "client",
  "server",
  "gateway",
  "mask",
  "host name",
  "device",
  "method",
  "DNS",
  "DNS",
  "NTP",
] as const;
const shortNames = ["device", "method", "MTU", "MAC"] as const;

interface Field {
  readonly text: string;
  /** "field 4 (mask)" */
  readonly place: string;
}

/**
 * Reads the value of `ip=`.
 * @throws IpParameterError
 */
export function parseIpParameter(value: string): IpParameter {
  if (/:[\da-f]{2}(:[\da-f]{2}){5}$/i.test(value)) throw new IpParameterError(`ends with a MAC address; ${noMac}`);
  const texts = splitFields(value);
  const [first = "", second = ""] = texts;
  if (texts.length === 1 && !isAddress(first))
    return withoutAddress(method({ text: first, place: "field 1 (method)" }));
  const isShort = methods.has(second) && !isAddress(first);
  const names = isShort ? shortNames : fieldNames;
  if (texts.length > names.length)
    throw new IpParameterError(`has ${texts.length} fields; there are ${names.length} at most`);
  const field = (index: number, name: string = names[index] ?? ""): Field => {
    const text = texts[index] ?? "";
    return { text: text === "0.0.0.0" ? "" : text, place: `field ${index + 1} (${name})` };
  };
  if (isShort) {
    refuseMac(field(3));
    const short = withoutAddress(method(field(1)), device(field(0)));
    return { ...short, mtu: mtu(field(2), "", short.method) };
  }
  return long(field);
}

/** Several, as `ip=` may be given: each for the adapter that it names. */
export interface IpParameters {
  readonly values: readonly IpParameter[];
  /** What of them does not count, for people. */
  readonly remarks: readonly string[];
}

/**
 * Reads `ip=` that is given several times. As in the kernel a later one takes the place of an earlier one, but only of those
 * for the same adapter; one that names no adapter is for all of them.
 * @throws IpParameterError
 */
export function parseIpParameters(texts: readonly string[]): IpParameters {
  let values: { readonly text: string; readonly value: IpParameter }[] = [];
  const remarks: string[] = [];
  for (const text of texts) {
    const value = readOne(text);
    const isReplaced = (each: IpParameter) => value.device === undefined || each.device === value.device;
    for (const each of values.filter((former) => isReplaced(former.value))) {
      remarks.push(`ip=${each.text} does not count: ip=${text} comes after it`);
    }
    values = [...values.filter((former) => !isReplaced(former.value)), { text, value }];
  }
  return { values: values.map(({ value }) => value), remarks };
}

/** An error tells which one it is about. */
function readOne(text: string): IpParameter {
  try {
    return parseIpParameter(text);
  } catch (error) {
    if (!(error instanceof IpParameterError)) throw error;
    throw new IpParameterError(`${quoted(text)} is not allowed: ${error.message}`, { cause: error });
  }
}

/** What counts for an adapter: what names its VLAN, or it, else what names none. Undefined: it stays as it is. */
export function ipOfAdapter(values: readonly IpParameter[], name: string, vlan?: number): IpParameter | undefined {
  const names = [...(vlan === undefined ? [] : [`${name}.${vlan}`]), name, undefined];
  const found = names.flatMap((each) => values.find(({ device }) => device === each) ?? [])[0];
  return found?.method === "off" ? undefined : found;
}

function long(field: (index: number, name?: string) => Field): IpParameter {
  const [client, server, gateway, mask, hostName] = [field(0), field(1), field(2), field(3), field(4)];
  const found = field(6).text === "" ? undefined : method(field(6));
  optional(server, isAddress, "an address");
  const address = optional(client, isAddress, "an address");
  if (address !== undefined && isNoMachines(address)) throw wrong(client, "the address of one machine");
  if (address === undefined && found === "static") throw wrong(client, "an address, which `static` needs");
  // Linux asks nobody (net/ipv4/ipconfig.c) where the address is given, and DHCP only where it is not
  if (address !== undefined && (found === "ipv6" || found === "both")) {
    throw wrong(field(6), "off, none or dhcp, because field 1 gives an address");
  }
  // dracut's MTU and MAC are in the place of DNS servers
  const bytes = /^\d+$/.test(field(7).text) ? mtu(field(7, "MTU"), address ?? "", found) : undefined;
  if (bytes !== undefined) refuseMac(field(8, "MAC"));
  const family = address !== undefined && isIPv6(address) ? 6 : 4;
  const chosen = address === undefined ? (found ?? "dhcp") : "static";
  for (const each of [gateway, mask]) {
    if (chosen === "ipv6" && each.text !== "") throw wrong(each, "nothing, because routers tell it");
  }
  const sameFamily = (text: string) => (family === 6 ? isIPv6(bare(text)) : isIPv4(text));
  const as = address === undefined ? "" : ", as field 1";
  return {
    method: chosen,
    device: device(field(5)),
    mtu: bytes,
    ntp: optional(field(9), isAddress, "an address"),
    gateway: optional(gateway, sameFamily, `an address of IPv${family}${as}`),
    prefixLength: address === undefined && mask.text !== "" ? prefixLength(mask, 4, "") : undefined,
    hostName: optional(hostName, (text) => /^[A-Za-z0-9]([A-Za-z0-9.-]{0,62})$/.test(text), "a host name"),
    dns: (bytes === undefined ? [field(7), field(8)] : []).flatMap(
      (each) => optional(each, isAddress, "an address") ?? [],
    ),
    static: address === undefined ? undefined : { family, address, prefixLength: prefixLength(mask, family, address) },
  };
}

const withoutAddress = (found: IpParameter["method"], name?: string): IpParameter => ({
  method: found,
  device: name,
  mtu: undefined,
  ntp: undefined,
  gateway: undefined,
  prefixLength: undefined,
  hostName: undefined,
  dns: [],
  static: undefined,
});

/** At colons, but not at those within brackets. */
function splitFields(value: string): string[] {
  const fields = value.match(/(\[[^\]]*\]|[^:[\]]*)(:|$)/g) ?? [];
  // the last match is empty, unless the text ends with a colon, which begins an empty field
  const texts = fields.slice(0, -1).map((text) => text.replace(/:$/, ""));
  if (fields.join("") !== value)
    throw new IpParameterError("has a bracket that does not fit: an address of IPv6 is [fd00::1]");
  if (value.endsWith(":")) texts.push("");
  return texts.length === 0 ? [""] : texts;
}

const bare = (text: string): string => text.replace(/^\[(.*)\]$/, "$1");
const isAddress = (text: string): boolean => isIPv4(text) || (text.startsWith("[") && isIPv6(bare(text)));

const wrong = ({ text, place }: Field, allowed: string): IpParameterError =>
  new IpParameterError(`${place} is "${text}"; allowed: ${allowed}`);

/** The text without brackets; undefined for an empty field. */
function optional(field: Field, isGood: (text: string) => boolean, allowed: string): string | undefined {
  if (field.text === "") return undefined;
  if (!isGood(field.text)) throw wrong(field, allowed === "an address" ? "10.0.0.1 or [fd00::1]" : allowed);
  return bare(field.text);
}

function method(field: Field): IpParameter["method"] {
  const found = methods.get(field.text);
  if (found === undefined) throw wrong(field, methodText);
  return found;
}

const device = (field: Field): string | undefined =>
  optional(field, (text) => /^[A-Za-z0-9._-]{1,15}$/.test(text), "the name of an interface (eth0)");

/** One that no machine can have: of loopback, multicast or broadcast, or none. */
const isNoMachines = (address: string): boolean =>
  /^(127|22[4-9]|23\d)\.|^255\.255\.255\.255$|^ff/i.test(address) || /^[0:]*1?$/.test(address);

const noMac = "an adapter keeps its own: leave it out";

function refuseMac(field: Field): void {
  if (field.text !== "") throw wrong(field, `nothing; ${noMac}`);
}

/** RFC 791 §3.1 and RFC 8200 §5: what each link carries. */
function mtu(field: Field, address: string, of: IpParameter["method"] | undefined): number | undefined {
  const least = of === "ipv6" || of === "both" || isIPv6(address) ? 1280 : 576;
  const text = optional(field, (each) => /^\d{3,5}$/.test(each) && Number(each) >= least, `bytes, ${least} or more`);
  return text === undefined ? undefined : Number(text);
}

/** "255.255.255.0" or "24". Without one that of the address's class counts, as in the kernel; 64 for IPv6. */
function prefixLength(field: Field, family: 4 | 6, address: string): number {
  if (field.text === "") return family === 6 ? 64 : classPrefixLength(address);
  if (/^\d{1,3}$/.test(field.text) && Number(field.text) <= (family === 6 ? 128 : 32)) return Number(field.text);
  const found = family === 4 && isIPv4(field.text) ? prefixLengthOf(field.text) : undefined;
  if (found === undefined) throw wrong(field, family === 4 ? "255.255.255.0 or 24" : "a length: 64");
  return found;
}

/** Bits of a mask; undefined if it is none. */
export function prefixLengthOf(mask: string): number | undefined {
  const bits = mask
    .split(".")
    .map((byte) => Number(byte).toString(2).padStart(8, "0"))
    .join("");
  return /^1+0*$/.test(bits) ? bits.replaceAll("0", "").length : undefined;
}

/** Before there were masks, the first bits of an address told. RFC 791 §3.2. */
export function classPrefixLength(address: string): number {
  const first = Number.parseInt(address, 10);
  return first < 128 ? 8 : first < 192 ? 16 : 24;
}
