/** Router solicitations and advertisements as IPv6 packets. RFC 4861 §4.1, §4.2; RFC 8106 for DNS. */
import { ipv6Text } from "./ipv6-text.ts";

const solicitation = 133;
const advertisement = 134;
const option = { prefix: 3, rdnss: 25, dnssl: 31 } as const;
const allRouters = Buffer.from("ff020000000000000000000000000002", "hex");
const icmpv6 = 58;

export interface RouterAdvertisement {
  /** The router's address on the link. */
  readonly router: string;
  /** Addresses come by DHCPv6. */
  readonly managed: boolean;
  /** DNS servers come by DHCPv6. */
  readonly other: boolean;
  /** Whether the router is one to the rest of the world. */
  readonly isDefaultRouter: boolean;
  /** Whether it names a prefix out of which machines make their own addresses. RFC 4862 §5.5.3. */
  readonly autonomous: boolean;
  readonly dns: readonly string[];
  readonly search: readonly string[];
}

/** The sum of 16-bit words in one's complement over the pseudo-header and the message. RFC 8200 §8.1. */
function checksum(source: Uint8Array, destination: Uint8Array, message: Uint8Array): number {
  const length = Buffer.alloc(8);
  length.writeUInt32BE(message.length, 0);
  length[7] = icmpv6;
  const bytes = Buffer.concat([source, destination, length, message]);
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** A packet that asks all routers of the link, from nobody: an address of our own is not proved yet. RFC 4861 §6.3.7. */
export function encodeSolicitation(): Buffer {
  const nobody = Buffer.alloc(16);
  const message = Buffer.from([solicitation, 0, 0, 0, 0, 0, 0, 0]);
  message.writeUInt16BE(checksum(nobody, allRouters, message), 2);
  const header = Buffer.alloc(8);
  header[0] = 0x60;
  header.writeUInt16BE(message.length, 4);
  header[6] = icmpv6;
  header[7] = 255;
  return Buffer.concat([header, nobody, allRouters, message]);
}

/** The advertisement in an IPv6 packet; undefined for any other packet, and for one that RFC 4861 §6.1.2 has dropped. */
export function decodeAdvertisement(packet: Uint8Array): RouterAdvertisement | undefined {
  const bytes = Buffer.from(packet.buffer, packet.byteOffset, packet.byteLength);
  if (bytes.length < 56 || (bytes[0] ?? 0) >> 4 !== 6 || bytes[6] !== icmpv6) return undefined;
  const [source, destination] = [bytes.subarray(8, 24), bytes.subarray(24, 40)];
  const end = 40 + bytes.readUInt16BE(4);
  if (end > bytes.length || end < 56) return undefined;
  const message = bytes.subarray(40, end);
  // From a router of this link: a packet that was forwarded has a smaller hop limit.
  const isOfThisLink = bytes[7] === 255 && source[0] === 0xfe && ((source[1] ?? 0) & 0xc0) === 0x80;
  if (!isOfThisLink || message[0] !== advertisement || message[1] !== 0) return undefined;
  if (checksum(source, destination, message) !== 0) return undefined;
  const options = readOptions(message.subarray(16));
  if (options === undefined) return undefined;
  const flags = message[5] ?? 0;
  return {
    router: ipv6Text(source),
    managed: (flags & 0x80) !== 0,
    other: (flags & 0x40) !== 0,
    isDefaultRouter: message.readUInt16BE(6) > 0,
    autonomous: options.some(
      ({ type, data }) =>
        type === option.prefix &&
        data.length === 30 &&
        data[0] === 64 &&
        ((data[1] ?? 0) & 0x40) !== 0 &&
        data.readUInt32BE(2) > 0,
    ),
    dns: options.filter(({ type }) => type === option.rdnss).flatMap(({ data }) => dnsServers(data)),
    search: options.filter(({ type }) => type === option.dnssl).flatMap(({ data }) => searchNames(data)),
  };
}

/** Type, length in units of 8 bytes, data. A length of zero spoils the message. */
function readOptions(bytes: Buffer): { readonly type: number; readonly data: Buffer }[] | undefined {
  const options: { type: number; data: Buffer }[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const length = 8 * (bytes[at + 1] ?? 0);
    if (length === 0 || at + length > bytes.length) return undefined;
    options.push({ type: bytes[at] ?? 0, data: bytes.subarray(at + 2, at + length) });
    at += length;
  }
  return options;
}

/** RFC 8106 §5.1: two bytes, lifetime, addresses. A lifetime of zero takes them back. */
function dnsServers(data: Buffer): string[] {
  if (data.length < 22 || data.readUInt32BE(2) === 0) return [];
  return Array.from({ length: Math.floor((data.length - 6) / 16) }, (_, i) =>
    ipv6Text(data.subarray(6 + 16 * i, 22 + 16 * i)),
  );
}

/** RFC 8106 §5.2: two bytes, lifetime, names. */
const searchNames = (data: Buffer): string[] =>
  data.length < 6 || data.readUInt32BE(2) === 0 ? [] : domainNames(data.subarray(6));

/** More than any site searches. */
const mostNames = 32;

/** Names as in DNS, uncompressed, one after the other; zeros fill the rest. RFC 1035 §3.1. Damaged data: what came before. */
export function domainNames(data: Buffer): string[] {
  const names: string[] = [];
  let labels: string[] = [];
  for (let at = 0; at < data.length && names.length < mostNames; ) {
    const length = data[at++] ?? 0;
    if (length === 0) {
      const name = labels.join(".");
      if (/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}$/.test(name)) names.push(name);
      labels = [];
      continue;
    }
    if (length > 63 || at + length > data.length) return names;
    labels.push(data.toString("latin1", at, at + length));
    at += length;
  }
  return names;
}
