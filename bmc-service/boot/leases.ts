import { isIP } from "node:net";
import { formatMac, parseMac } from "../../ipmi/mac.ts";

/** An address that a DHCP server has given to a machine. */
export interface Lease {
  /** Lower case with colons; undefined: the server does not know it, as is usual with DHCPv6. */
  readonly mac: string | undefined;
  /** IPv4 or IPv6. */
  readonly address: string;
  /** Infinity: it does not end. Milliseconds since 1970. */
  readonly endsMs: number;
}

/**
 * Reads the leases of dnsmasq, ISC dhcpd or Kea (memfile), whichever it is; the last word on each address counts.
 * Lines that are not understood are left out: a server may be about to write one.
 */
export function readLeases(text: string): Lease[] {
  const leases = readerOf(text)(text);
  const last = new Map<string, Lease | undefined>();
  for (const { address, lease } of leases) last.set(address, lease);
  return [...last.values()].filter((lease) => lease !== undefined);
}

function readerOf(text: string): (text: string) => Entry[] {
  if (text.startsWith("address,")) return keaLeases;
  return /^(?:lease|host|ia-[nt]a|authoring-byte-order|server-duid)\b/m.test(text) ? iscLeases : dnsmasqLeases;
}

/** What one entry says of an address; without a lease it is free. */
interface Entry {
  readonly address: string;
  readonly lease: Lease | undefined;
}

function entryOf(address: string, hardware: string, endsMs: number): Entry | undefined {
  const mac = parseMac(hardware);
  if (isIP(address) === 0 || Number.isNaN(endsMs)) return undefined;
  return { address, lease: { mac: mac && formatMac(mac), address, endsMs } };
}

/**
 * "1700000000 52:54:00:12:34:56 10.0.0.7 host 01:52:54:..."; an end of 0 is none. With DHCPv6 the second word is the IAID, which says
 * nothing of the machine. Source: dnsmasq(8), --dhcp-leasefile.
 */
function dnsmasqLeases(text: string): Entry[] {
  return text.split("\n").flatMap((line) => {
    const [ends = "", hardware = "", address = ""] = line.trim().split(/\s+/);
    if (!/^\d+$/.test(ends)) return [];
    // "06-52:54:..." where the hardware is no Ethernet: it has no MAC address that is asked for.
    return entryOf(address, hardware, ends === "0" ? Number.POSITIVE_INFINITY : Number(ends) * 1_000) ?? [];
  });
}

/**
 * Blocks "lease 10.0.0.7 { ends 6 2026/11/21 12:00:00; binding state active; hardware ethernet ...; }". With DHCPv6 they begin with
 * "iaaddr", stand in others, and have no hardware. Source: dhcpd.leases(5).
 */
function iscLeases(text: string): Entry[] {
  const entries: Entry[] = [];
  // Quoted texts are what machines say of themselves: braces in them mean nothing.
  const unquoted = text.replace(/"(?:[^"\\\n]|\\.)*"/g, "");
  for (const [, address = "", body = ""] of unquoted.matchAll(
    /^(?:lease|[ \t]+iaaddr)[ \t]+([0-9a-f.:]+)[ \t]*\{([^}]*)\}/gim,
  )) {
    const state = /^[ \t]*binding[ \t]+state[ \t]+(\w+)/m.exec(body)?.[1] ?? "active";
    const lease = state === "active" ? entryOf(address, iscHardware(body), iscEndMs(body)) : undefined;
    entries.push(lease ?? { address, lease: undefined });
  }
  // Fixed addresses that were given at run time, by OMAPI.
  for (const [, body = ""] of unquoted.matchAll(/^host[ \t]+[^\s{]+[ \t]*\{([^}]*)\}/gim)) {
    const address = /^[ \t]*fixed-address[ \t]+([0-9a-f.:]+)[ \t]*;/im.exec(body)?.[1] ?? "";
    const isDeleted = /^[ \t]*deleted[ \t]*;/m.test(body);
    const entry = isDeleted ? undefined : entryOf(address, iscHardware(body), Number.POSITIVE_INFINITY);
    if (entry !== undefined) entries.push(entry);
  }
  return entries;
}

function iscHardware(body: string): string {
  return /^[ \t]*hardware[ \t]+ethernet[ \t]+([0-9a-f:]+)[ \t]*;/im.exec(body)?.[1] ?? "";
}

/** UTC: the weekday in front is of no use. Not a number if there is no end that can be read. */
function iscEndMs(body: string): number {
  const ends = /^[ \t]*ends[ \t]+([^;]+);/m.exec(body)?.[1]?.trim() ?? "";
  if (ends === "never") return Number.POSITIVE_INFINITY;
  const seconds = /^epoch\s+(\d+)/.exec(ends)?.[1];
  if (seconds !== undefined) return Number(seconds) * 1_000;
  const [, year, month, day, time] = /^\d\s+(\d{4})\/(\d\d)\/(\d\d)\s+(\d\d:\d\d:\d\d)$/.exec(ends) ?? [];
  return Date.parse(`${year}-${month}-${day}T${time}Z`);
}

/** Of state 0; others are declined, expired or released. */
const keaInUse = "0";

/** Comma-separated values under a line of names; DHCPv4 and DHCPv6. Source: Kea ARM, "Memfile - Basic Storage". */
function keaLeases(text: string): Entry[] {
  const [head = "", ...lines] = text.trim().split("\n");
  const names = head.trim().split(",");
  return lines.flatMap((line) => {
    const values = line.trim().split(",");
    const value = (name: string) => values[names.indexOf(name)] ?? "";
    const address = value("address");
    if (isIP(address) === 0) return [];
    // A prefix that was handed to a router is no machine's address.
    if (!["", "128"].includes(value("prefix_len"))) return [];
    const isInUse = value("state") === keaInUse && value("valid_lifetime") !== "0";
    const endless = value("valid_lifetime") === "4294967295";
    const endsMs = endless ? Number.POSITIVE_INFINITY : Number.parseInt(value("expire"), 10) * 1_000;
    return (isInUse ? entryOf(address, value("hwaddr"), endsMs) : undefined) ?? { address, lease: undefined };
  });
}
