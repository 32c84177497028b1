import { closeFile, LibcError, openSocket, receiveFromLink, sendTo } from "../libc.ts";

/** An address or a route in the bytes in which the kernel tells it, rtnetlink(7), so that it can be given back as it was. */
export interface TableEntry {
  readonly kind: "address" | "route";
  /** Of the interface; 0: of none, or of several. */
  readonly index: number;
  /** The kernel made it out of what a router advertises, or beside an address. */
  readonly isKernels: boolean;
  /** A route over another machine. */
  readonly hasGateway: boolean;
  /** Of the same entry always the same. */
  readonly key: string;
  /** What follows the header of its message. */
  readonly body: Buffer;
}

// linux/netlink.h
const headerLength = 16;
const answers = { error: 2, done: 3 } as const;
const asks = { request: 0x1, acknowledge: 0x4, dump: 0x300, create: 0x400, onlyNew: 0x200 } as const;
// linux/rtnetlink.h; `changes`: attributes that tell lifetimes and what is known of an address yet (linux/if_addr.h)
const kinds = {
  address: { add: 20, remove: 21, list: 22, length: 8, changes: [6, 8] },
  route: { add: 24, remove: 25, list: 26, length: 12, changes: [12] },
} as const;
const internet = [2, 10]; // AF_INET, AF_INET6

/** Addresses and routes of IPv4 and IPv6, but for those that come and go with an address or with the link. @throws LibcError */
export const readTables = (): TableEntry[] => [...list("address"), ...list("route")];

/**
 * Takes away what came since, and puts back what is gone, but for what the kernel makes by itself.
 * @param isOurs whether a new entry is to go
 * @throws Error with a sentence for each entry where that failed
 */
export function restoreTables(before: readonly TableEntry[], isOurs: (entry: TableEntry) => boolean): void {
  const problems: string[] = [];
  const attempt = (entry: TableEntry, action: "add" | "remove", ...fine: string[]): void => {
    try {
      change(entry, action);
    } catch (error) {
      if (!(error instanceof LibcError && ["ENODEV", ...fine].includes(error.code)))
        problems.push((error as Error).message);
    }
  };
  // routes go before the addresses that they stand on, and come after them; those over a gateway after the way to it
  for (const entry of newOf(readTables(), before).filter(isOurs).reverse())
    attempt(entry, "remove", "ESRCH", "EADDRNOTAVAIL");
  for (const kind of ["address", "route"] as const) {
    const lost = newOf(before, readTables()).filter((entry) => entry.kind === kind && !entry.isKernels);
    lost.sort((a, b) => Number(a.hasGateway) - Number(b.hasGateway));
    for (const entry of lost) attempt(entry, "add", "EEXIST");
  }
  if (problems.length > 0) throw new Error(problems.join("; "));
}

function newOf(entries: readonly TableEntry[], others: readonly TableEntry[]): TableEntry[] {
  const known = new Set(others.map(({ key }) => key));
  return entries.filter(({ key }) => !known.has(key));
}

function list(kind: TableEntry["kind"]): TableEntry[] {
  const found: TableEntry[] = [];
  exchange(kinds[kind].list, asks.dump, Buffer.alloc(kinds[kind].length), `list of each ${kind}`, (body) => {
    const entry = internet.includes(body[0] ?? 0) ? toEntry(kind, body) : undefined;
    if (entry !== undefined) found.push(entry);
  });
  return found;
}

function change({ kind, index, body }: TableEntry, action: "add" | "remove"): void {
  const how = asks.acknowledge | (action === "add" ? asks.create | asks.onlyNew : 0);
  exchange(kinds[kind][action], how, body, `${action} ${kind} of interface ${index}`);
}

/** Sends one request, and gives what comes until the kernel says that this is all. @throws LibcError naming `call` */
function exchange(type: number, how: number, body: Buffer, call: string, each?: (body: Buffer) => void): void {
  const [netlink, raw, route] = [16, 3, 0]; // AF_NETLINK, SOCK_RAW, NETLINK_ROUTE
  const header = Buffer.alloc(headerLength);
  header.writeUInt32LE(headerLength + body.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(asks.request | how, 6);
  const kernel = Buffer.alloc(12); // struct sockaddr_nl
  kernel.writeUInt16LE(netlink, 0);
  const fd = openSocket(netlink, raw, route);
  try {
    sendTo(fd, Buffer.concat([header, body]), kernel);
    for (const buffer = Buffer.alloc(65_536); ; ) {
      // the kernel answers within the call that asks: nothing is waited for
      const data = receiveFromLink(fd, buffer)?.data;
      if (data === undefined) throw new Error(`${call}: the kernel does not answer`);
      for (let at = 0; at + headerLength <= data.length; ) {
        const length = data.readUInt32LE(at);
        const message = data.subarray(at + headerLength, at + length);
        const answer = data.readUInt16LE(at + 4);
        if (answer === answers.done) return;
        if (answer === answers.error) {
          const errno = -message.readInt32LE(0);
          if (errno !== 0) throw new LibcError(call, errno);
          return;
        }
        each?.(message);
        at += (length + 3) & ~3;
      }
    }
  } finally {
    closeFile(fd);
  }
}

/** Undefined: it comes and goes with an address or with the link. struct ifaddrmsg, struct rtmsg. */
function toEntry(kind: TableEntry["kind"], message: Buffer): TableEntry | undefined {
  const { length, changes } = kinds[kind];
  const body = Buffer.from(message);
  const attributes = readAttributes(body.subarray(length));
  const isIpv6 = body[0] === 10;
  const key = (head: Buffer): string => {
    const lasting = [...attributes].filter(([type]) => !changes.some((each) => each === type));
    return `${kind} ${head.toString("hex")} ${lasting.map(([type, data]) => `${type}=${data.toString("hex")}`).join(" ")}`;
  };
  if (kind === "address") {
    const [permanent, onLink] = [0x80, 253]; // IFA_F_PERMANENT, RT_SCOPE_LINK
    if (isIpv6 && body[3] === onLink) return undefined;
    const isKernels = isIpv6 && ((body[2] ?? 0) & permanent) === 0;
    const withoutFlags = Buffer.concat([body.subarray(0, 2), body.subarray(3, length)]);
    return { kind, index: body.readUInt32LE(4), isKernels, hasGateway: false, key: key(withoutFlags), body };
  }
  const [local, kernel, advertised] = [255, 2, 9]; // RT_TABLE_LOCAL, RTPROT_KERNEL, RTPROT_RA
  const [to, over, by] = [1, 4, 5].map((type) => attributes.get(type)); // RTA_DST, RTA_OIF, RTA_GATEWAY
  const isToLink = isIpv6 && to?.[0] === 0xfe;
  if (body[4] === local || (body[5] === kernel && (!isIpv6 || isToLink))) return undefined;
  // of its flags only RTNH_F_ONLINK may be given back
  body.writeUInt32LE(body.readUInt32LE(8) & 4, 8);
  const isKernels = isIpv6 && (body[5] === kernel || body[5] === advertised);
  const index = over?.readUInt32LE(0) ?? 0;
  return { kind, index, isKernels, hasGateway: by !== undefined, key: key(body.subarray(0, length)), body };
}

/** struct rtattr: length, type, data; each begins at a multiple of four. */
function readAttributes(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = Math.max(bytes.readUInt16LE(at), 4);
    found.set(bytes.readUInt16LE(at + 2), bytes.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return found;
}
