/**
 * The kernel's parameter `ip=`, which says how a machine gets its address: Documentation/admin-guide/nfs/nfsroot.rst in Linux;
 * with what dracut.cmdline(7) adds, addresses of IPv6 in brackets among it.
 *
 *   ip=METHOD
 *   ip=DEVICE:METHOD[:MTU[:MAC]]
 *   ip=CLIENT:SERVER:GATEWAY:MASK:HOSTNAME:DEVICE:METHOD[:DNS0[:DNS1[:NTP]]]
 */
import { isIPv4, isIPv6 } from "node:net";

/** An address by hand. */
export interface StaticAddress {
  readonly family: 4 | 6;
  readonly address: string;
  /** 0 to 32, or to 128 */
  readonly prefixLength: number;
  readonly gateway: string | undefined;
  readonly hostName: string | undefined;
  readonly dns: readonly string[];
}

/** How the network is to be brought up. */
export interface IpParameter {
  /** "off": not at all. */
  readonly method: "off" | "static" | "dhcp" | "ipv6" | "both";
  readonly device: string | undefined;
  readonly mtu: number | undefined;
  readonly ntp: string | undefined;
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
  ...["dhcp", "on", "any", "both", "single-dhcp"].map((name) => [name, "dhcp"] as const),
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
  const texts = splitFields(value);
  if (texts.length === 1) return withoutAddress(method({ text: texts[0] ?? "", place: "field 1 (method)" }));
  const isShort = texts.length <= 4 && methods.has(texts[1] ?? "") && !isAddress(texts[0] ?? "");
  const names = isShort ? shortNames : fieldNames;
  if (texts.length > names.length)
    throw new IpParameterError(`has ${texts.length} fields; there are ${names.length} at most`);
  const field = (index: number): Field => ({
    text: texts[index] ?? "",
    place: `field ${index + 1} (${names[index] ?? ""})`,
  });
  if (isShort) return { ...withoutAddress(method(field(1)), device(field(0))), mtu: mtu(field(2)) };
  return long(field);
}

function long(field: (index: number) => Field): IpParameter {
  const [client, server, gateway, mask, hostName] = [0, 1, 2, 3, 4].map(field) as [Field, Field, Field, Field, Field];
  const found = field(6).text === "" ? undefined : method(field(6));
  const about = { device: device(field(5)), mtu: undefined, ntp: optional(field(9), isAddress, "an address") };
  optional(server, isAddress, "an address");
  const dns = [field(7), field(8)].flatMap((each) => optional(each, isAddress, "an address") ?? []);
  if (client.text === "") {
    if (found === "static") throw wrong(client, "an address, which `static` needs");
    return { ...withoutAddress(found ?? "dhcp"), ...about };
  }
  if (found === "dhcp" || found === "ipv6" || found === "both") {
    throw wrong(field(6), "off or none, because field 1 gives an address");
  }
  const address = optional(client, isAddress, "an address") ?? "";
  const family = isIPv6(address) ? 6 : 4;
  const sameFamily = (text: string) => (family === 6 ? isIPv6(bare(text)) : isIPv4(text));
  return {
    ...about,
    method: "static",
    static: {
      family,
      address,
      prefixLength: prefixLength(mask, family, address),
      gateway: optional(gateway, sameFamily, `an address of IPv${family}, as field 1`),
      hostName: optional(hostName, (text) => /^[A-Za-z0-9]([A-Za-z0-9.-]{0,62})$/.test(text), "a host name"),
      dns: dns.map(bare),
    },
  };
}

const withoutAddress = (found: IpParameter["method"], name?: string): IpParameter => ({
  method: found,
  device: name,
  mtu: undefined,
  ntp: undefined,
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

function mtu(field: Field): number | undefined {
  const text = optional(field, (each) => /^\d{3,5}$/.test(each) && Number(each) >= 576, "bytes, 576 or more");
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
