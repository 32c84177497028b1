/** DHCPv6 messages as bytes. RFC 8415 §8, §21; DNS options RFC 3646. */
import { ipv6Bytes, ipv6Text } from "./ipv6-text.ts";
import { domainNames } from "./router-advertisement.ts";

export const dhcp6Type = {
  solicit: 1,
  advertise: 2,
  request: 3,
  renew: 5,
  rebind: 6,
  reply: 7,
  informationRequest: 11,
} as const;
export type Dhcp6Type = (typeof dhcp6Type)[keyof typeof dhcp6Type];

const option = {
  clientId: 1,
  serverId: 2,
  identityAssociation: 3,
  address: 5,
  optionRequest: 6,
  preference: 7,
  elapsedTime: 8,
  statusCode: 13,
  dns: 23,
  domainList: 24,
} as const;

export interface Dhcp6Request {
  readonly type: Dhcp6Type;
  /** 24 bits. */
  readonly transaction: number;
  /** Six bytes; the client's identifier (DUID-LL) and that of its address association come from it. */
  readonly mac: Uint8Array;
  /** Hundredths of a second since the client began. */
  readonly elapsed: number;
  /** The server's identifier, as it sent it. */
  readonly server?: Uint8Array | undefined;
  /** Whether an address is asked for, and which one. */
  readonly address?: string | "any" | undefined;
}

export interface Dhcp6Reply {
  readonly type: number;
  readonly transaction: number;
  readonly server: Uint8Array;
  /** 0 to 255; the highest one is to be taken. */
  readonly preference: number;
  /** The first address that may be used. */
  readonly address: string | undefined;
  /** Seconds; Infinity for an address without end. */
  readonly validSeconds: number;
  /** Seconds after which the address is renewed with its server, and with any; 0: the client chooses. */
  readonly renewalSeconds: number;
  readonly rebindingSeconds: number;
  readonly dns: readonly string[];
  readonly search: readonly string[];
  /** Why there is no address, for people. */
  readonly refusal: string | undefined;
}

const field = (code: number, ...parts: readonly Uint8Array[]): Buffer => {
  const data = Buffer.concat(parts);
  const head = Buffer.alloc(4);
  head.writeUInt16BE(code, 0);
  head.writeUInt16BE(data.length, 2);
  return Buffer.concat([head, data]);
};

/** DUID-LL: type 3, Ethernet, MAC. RFC 8415 §11.4. */
const clientIdentifier = (mac: Uint8Array): Buffer => Buffer.concat([Buffer.from([0, 3, 0, 1]), mac]);

/** An association is told by the end of the MAC, so that it stays the same at every boot. */
const associationOf = (mac: Uint8Array): Buffer => Buffer.from(mac.subarray(2, 6));

export function encodeDhcp6({ type, transaction, mac, elapsed, server, address }: Dhcp6Request): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(transaction & 0xff_ffff);
  head[0] = type;
  const time = Buffer.alloc(2);
  time.writeUInt16BE(Math.min(elapsed, 0xffff));
  // IAID, T1 and T2 (ours to leave open), and the address that is asked for
  const association = () =>
    field(
      option.identityAssociation,
      associationOf(mac),
      Buffer.alloc(8),
      ...(address === undefined || address === "any"
        ? []
        : [field(option.address, ipv6Bytes(address), Buffer.alloc(8))]),
    );
  return Buffer.concat([
    head,
    field(option.clientId, clientIdentifier(mac)),
    ...(server === undefined ? [] : [field(option.serverId, server)]),
    field(option.elapsedTime, time),
    field(option.optionRequest, Buffer.from([0, option.dns, 0, option.domainList])),
    ...(address === undefined ? [] : [association()]),
  ]);
}

/** A server's answer to the machine of that MAC; undefined for bytes that are none. */
export function decodeDhcp6(bytes: Uint8Array, mac: Uint8Array): Dhcp6Reply | undefined {
  const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const type = message[0];
  if (message.length < 4 || (type !== dhcp6Type.advertise && type !== dhcp6Type.reply)) return undefined;
  const options = readOptions(message.subarray(4));
  const server = options.get(option.serverId);
  const client = options.get(option.clientId);
  if (server === undefined || server.length === 0 || !client?.equals(clientIdentifier(mac))) return undefined;
  const association = options.get(option.identityAssociation);
  const isOurs =
    association !== undefined && association.length >= 12 && association.subarray(0, 4).equals(associationOf(mac));
  const inner = isOurs ? readOptions(association.subarray(12)) : new Map<number, Buffer>();
  const given = inner.get(option.address);
  const valid = given !== undefined && given.length >= 24 ? given.readUInt32BE(20) : 0;
  const dns = options.get(option.dns) ?? Buffer.alloc(0);
  return {
    type,
    transaction: message.readUInt32BE(0) & 0xff_ffff,
    server: Buffer.from(server),
    preference: options.get(option.preference)?.[0] ?? 0,
    address: given !== undefined && valid > 0 ? usable(given.subarray(0, 16)) : undefined,
    validSeconds: valid === 0xffff_ffff ? Number.POSITIVE_INFINITY : valid,
    renewalSeconds: isOurs ? association.readUInt32BE(4) : 0,
    rebindingSeconds: isOurs ? association.readUInt32BE(8) : 0,
    dns: Array.from({ length: Math.floor(dns.length / 16) }, (_, i) => ipv6Text(dns.subarray(16 * i, 16 * i + 16))),
    search: domainNames(options.get(option.domainList) ?? Buffer.alloc(0)),
    refusal: refusalOf(options.get(option.statusCode)) ?? refusalOf(inner.get(option.statusCode)),
  };
}

/** No multicast, no loopback, nobody, and nothing that only counts on the link. */
function usable(bytes: Buffer): string | undefined {
  const isLinkLocal = bytes[0] === 0xfe && ((bytes[1] ?? 0) & 0xc0) === 0x80;
  if (bytes[0] === 0xff || isLinkLocal || bytes.subarray(0, 15).every((byte) => byte === 0)) return undefined;
  return ipv6Text(bytes);
}

/** The first option of each code. Damaged data: what came before. */
function readOptions(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const [code, length] = [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 2)];
    at += 4;
    if (at + length > bytes.length) return found;
    if (!found.has(code)) found.set(code, bytes.subarray(at, at + length));
    at += length;
  }
  return found;
}

/** RFC 8415 §21.13: a number, 0 for success, and words for people. */
function refusalOf(status: Buffer | undefined): string | undefined {
  if (status === undefined || status.length < 2 || status.readUInt16BE(0) === 0) return undefined;
  const words = status
    .toString("latin1", 2)
    .replace(/[^\x20-\x7e]/g, "")
    .slice(0, 200);
  return `status ${status.readUInt16BE(0)}${words === "" ? "" : ` (${words})`}`;
}
