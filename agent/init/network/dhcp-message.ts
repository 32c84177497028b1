/** DHCP messages as bytes. RFC 2131 §2 (figure 1), options RFC 2132, long options RFC 3396, routes RFC 3442, IPv6-only RFC 8925. */

export const messageType = { discover: 1, offer: 2, request: 3, decline: 4, ack: 5, nak: 6, release: 7 } as const;
export type MessageType = (typeof messageType)[keyof typeof messageType];

const option = {
  subnetMask: 1,
  router: 3,
  dns: 6,
  hostName: 12,
  domainName: 15,
  interfaceMtu: 26,
  requestedAddress: 50,
  leaseTime: 51,
  overload: 52,
  type: 53,
  serverIdentifier: 54,
  parameterList: 55,
  message: 56,
  maxMessageSize: 57,
  renewalTime: 58,
  rebindingTime: 59,
  vendorClass: 60,
  ipv6OnlyPreferred: 108,
  domainSearch: 119,
  classlessRoutes: 121,
  end: 255,
} as const;

const magicCookie = 0x63825363;
const fixedBytes = 240;

export interface DhcpRequest {
  readonly type: typeof messageType.discover | typeof messageType.request | typeof messageType.release;
  readonly transaction: number;
  /** Whole seconds since the client began. */
  readonly seconds: number;
  /** Six bytes. */
  readonly mac: Uint8Array;
  /** Our address while we have one (renewing); "0.0.0.0" otherwise. */
  readonly clientAddress?: string;
  readonly requestedAddress?: string;
  readonly server?: string;
  /** Whether this machine can do without IPv4. RFC 8925 §3.2. */
  readonly acceptsIpv6Only?: boolean;
}

export interface Route {
  /** "10.0.0.0" */
  readonly destination: string;
  /** 0 to 32 */
  readonly prefixLength: number;
  /** "0.0.0.0": the destination is on the link. */
  readonly gateway: string;
}

export interface DhcpReply {
  readonly type: MessageType;
  readonly transaction: number;
  readonly mac: Uint8Array;
  readonly address: string;
  readonly server: string | undefined;
  readonly subnetMask: string | undefined;
  readonly routers: readonly string[];
  readonly routes: readonly Route[];
  readonly dns: readonly string[];
  readonly domain: string | undefined;
  readonly search: readonly string[];
  readonly hostName: string | undefined;
  /** Bytes. */
  readonly mtu: number | undefined;
  /** Seconds; Infinity for a lease without end. */
  readonly leaseSeconds: number | undefined;
  readonly renewalSeconds: number | undefined;
  readonly rebindingSeconds: number | undefined;
  /** The network would rather have this machine use IPv6 alone. RFC 8925. */
  readonly ipv6OnlyPreferred: boolean;
  /** What the server says to people, mostly in a NAK. */
  readonly message: string | undefined;
}

const addressBytes = (text: string): Buffer => Buffer.from(text.split(".").map(Number));
const addressText = (bytes: Uint8Array): string => bytes.join(".");

/** A message of ours, at least 300 bytes long, which is what old relays expect (RFC 1542 §2.1). */
export function encodeRequest(request: DhcpRequest): Buffer {
  const fixed = Buffer.alloc(fixedBytes);
  fixed.set([1, 1, 6, 0]); // BOOTREQUEST, Ethernet, length of a MAC, hops
  fixed.writeUInt32BE(request.transaction >>> 0, 4);
  fixed.writeUInt16BE(Math.min(request.seconds, 0xffff), 8);
  fixed.set(addressBytes(request.clientAddress ?? "0.0.0.0"), 12);
  fixed.set(request.mac.subarray(0, 6), 28);
  fixed.writeUInt32BE(magicCookie, 236);
  const options: Buffer[] = [];
  const add = (code: number, ...data: number[]) => options.push(Buffer.from([code, data.length, ...data]));
  add(option.type, request.type);
  if (request.requestedAddress) add(option.requestedAddress, ...addressBytes(request.requestedAddress));
  if (request.server) add(option.serverIdentifier, ...addressBytes(request.server));
  if (request.type !== messageType.release) {
    add(option.maxMessageSize, 1472 >> 8, 1472 & 0xff);
    add(option.vendorClass, ...Buffer.from("metal-rivet"));
    // RFC 3442: routes before the router
    add(
      option.parameterList,
      ...[option.subnetMask, option.classlessRoutes, option.router, option.dns, option.hostName, option.domainName],
      ...[option.interfaceMtu, option.leaseTime, option.renewalTime, option.rebindingTime, option.domainSearch],
      ...(request.acceptsIpv6Only === true ? [option.ipv6OnlyPreferred] : []),
    );
  }
  options.push(Buffer.from([option.end]));
  const message = Buffer.concat([fixed, ...options]);
  return message.length >= 300 ? message : Buffer.concat([message], 300);
}

/** A server's answer; undefined for bytes that are none (too short, no cookie, no message type, a request). */
export function decodeReply(bytes: Uint8Array): DhcpReply | undefined {
  const message = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (message.length < fixedBytes || message[0] !== 2 || message[1] !== 1 || message[2] !== 6) return undefined;
  if (message.readUInt32BE(236) !== magicCookie) return undefined;
  const options = collectOptions(message);
  const type = options.get(option.type)?.[0];
  if (type === undefined || type < messageType.discover || type > messageType.release) return undefined;

  const addresses = (code: number): string[] => {
    const data = options.get(code) ?? Buffer.alloc(0);
    return Array.from({ length: Math.floor(data.length / 4) }, (_, i) => addressText(data.subarray(4 * i, 4 * i + 4)));
  };
  const text = (code: number): string | undefined => {
    const found = options.get(code)?.toString("latin1").replace(/\0+$/, "");
    return found && /^[\x21-\x7e]+$/.test(found) ? found : undefined;
  };
  const seconds = (code: number): number | undefined => {
    const data = options.get(code);
    if (data?.length !== 4) return undefined;
    const value = data.readUInt32BE(0);
    return value === 0xffffffff ? Number.POSITIVE_INFINITY : value;
  };
  const mtu = options.get(option.interfaceMtu);
  return {
    type: type as MessageType,
    transaction: message.readUInt32BE(4),
    mac: message.subarray(28, 34),
    address: addressText(message.subarray(16, 20)),
    server: addresses(option.serverIdentifier)[0],
    subnetMask: addresses(option.subnetMask)[0],
    routers: addresses(option.router),
    routes: decodeRoutes(options.get(option.classlessRoutes) ?? Buffer.alloc(0)),
    dns: addresses(option.dns),
    domain: hostText(text(option.domainName)),
    search: decodeSearch(options.get(option.domainSearch) ?? Buffer.alloc(0)),
    hostName: hostText(text(option.hostName)),
    mtu: mtu?.length === 2 ? mtu.readUInt16BE(0) : undefined,
    leaseSeconds: seconds(option.leaseTime),
    renewalSeconds: seconds(option.renewalTime),
    rebindingSeconds: seconds(option.rebindingTime),
    ipv6OnlyPreferred: options.get(option.ipv6OnlyPreferred)?.length === 4,
    message: options
      .get(option.message)
      ?.toString("latin1")
      .replace(/[^\x20-\x7e]/g, "")
      .slice(0, 200),
  };
}

/** Names end up in resolv.conf and as host name: letters, digits, hyphen, underscore and dots only. */
const hostText = (text: string | undefined): string | undefined =>
  text && /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})$/.test(text) ? text.replace(/\.$/, "") : undefined;

/** Options of the options field, and of `file` and `sname` where option 52 says so. Parts of one option are joined. */
function collectOptions(message: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  const collect = (field: Buffer): void => {
    for (let at = 0; at < field.length; ) {
      const code = field[at++];
      if (code === undefined || code === option.end) return;
      if (code === 0) continue;
      const length = field[at++];
      if (length === undefined || at + length > field.length) return;
      found.set(code, Buffer.concat([found.get(code) ?? Buffer.alloc(0), field.subarray(at, at + length)]));
      at += length;
    }
  };
  collect(message.subarray(fixedBytes));
  const overload = found.get(option.overload)?.[0] ?? 0;
  if (overload & 1) collect(message.subarray(108, 236));
  if (overload & 2) collect(message.subarray(44, 108));
  return found;
}

/** RFC 3442: prefix length, as many bytes of the destination as it needs, gateway. Damaged data: what came before. */
function decodeRoutes(data: Buffer): Route[] {
  const routes: Route[] = [];
  for (let at = 0; at < data.length; ) {
    const prefixLength = data[at++] ?? 0;
    const significant = Math.ceil(prefixLength / 8);
    if (prefixLength > 32 || at + significant + 4 > data.length) break;
    const destination = Buffer.alloc(4);
    data.copy(destination, 0, at, at + significant);
    at += significant;
    routes.push({
      destination: addressText(destination),
      prefixLength,
      gateway: addressText(data.subarray(at, at + 4)),
    });
    at += 4;
  }
  return routes;
}

/** More than any site searches. Pointers make a name of 253 letters from two bytes: 600 of them fit into one answer. */
const mostSearchNames = 32;

/** RFC 3397: names as in DNS, with compression pointers that lead backwards. */
function decodeSearch(data: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; at < data.length && names.length < mostSearchNames; ) {
    const labels: string[] = [];
    let next = -1;
    let from = at;
    for (let steps = 0; ; steps++) {
      const length = data[from];
      if (length === undefined || steps > 64) return names;
      if (length === 0) {
        if (next < 0) next = from + 1;
        break;
      }
      if (length >= 0xc0) {
        const target = ((length & 0x3f) << 8) | (data[from + 1] ?? 0);
        if (next < 0) next = from + 2;
        if (target >= from) return names;
        from = target;
        continue;
      }
      if (from + 1 + length > data.length) return names;
      labels.push(data.toString("latin1", from + 1, from + 1 + length));
      from += 1 + length;
    }
    const name = hostText(labels.join("."));
    if (name) names.push(name);
    at = next;
  }
  return names;
}
