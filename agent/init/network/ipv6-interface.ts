import { readFileSync } from "node:fs";
import { closeFile, ioctl, LibcError, openSocket } from "../libc.ts";
import { ipv6Bytes, ipv6Text } from "./ipv6-text.ts";

/** One address of an interface as the kernel shows it. */
export interface Ipv6Address {
  readonly address: string;
  readonly isLinkLocal: boolean;
  /** The kernel still looks whether somebody else has it: it cannot be used yet. RFC 4862 §5.4. */
  readonly isTentative: boolean;
  /** Somebody else has it. */
  readonly isDuplicate: boolean;
  /** By a program: the kernel makes those of advertisements for a time, and with 64 bits of prefix. */
  readonly isGiven: boolean;
}

// linux/if_addr.h
const duplicate = 0x08; // IFA_F_DADFAILED
const tentative = 0x40; // IFA_F_TENTATIVE
const permanent = 0x80; // IFA_F_PERMANENT
// include/net/ipv6.h, as /proc/net/if_inet6 shows the scope
const linkScope = 0x20;
/** fec0::/10 counts beyond the link, too; nobody should use it (RFC 3879), and QEMU's user network does. */
const widerScopes: ReadonlySet<number> = new Set([0x00, 0x40]);

/** The addresses of one interface in the text of /proc/net/if_inet6: address, index, prefix, scope, flags, name. */
export function parseIfInet6(text: string, name: string): Ipv6Address[] {
  return text.split("\n").flatMap((line) => {
    const [digits = "", , prefixText = "", scopeText = "", flagsText = "", device] = line.trim().split(/\s+/);
    const [scope, flags] = [Number.parseInt(scopeText, 16), Number.parseInt(flagsText, 16)];
    if (device !== name || digits.length !== 32 || (scope !== linkScope && !widerScopes.has(scope))) return [];
    return {
      address: ipv6Text(Buffer.from(digits, "hex")),
      isLinkLocal: scope === linkScope,
      isTentative: (flags & tentative) !== 0,
      isDuplicate: (flags & duplicate) !== 0,
      isGiven: (flags & permanent) !== 0 || prefixText !== "40",
    };
  });
}

/** The addresses of an interface; none where the kernel has no IPv6. */
export function ipv6Addresses(name: string): Ipv6Address[] {
  try {
    return parseIfInet6(readFileSync("/proc/net/if_inet6", "latin1"), name);
  } catch {
    return [];
  }
}

function withSocket(work: (fd: number) => void): void {
  const fd = openSocket(10, 2, 0); // AF_INET6
  try {
    work(fd);
  } finally {
    closeFile(fd);
  }
}

const isThere = (error: unknown): boolean => error instanceof LibcError && error.code === "EEXIST";

/** Gives an interface one more address; the kernel looks then whether somebody else has it. struct in6_ifreq: 24 bytes. */
export function addIpv6Address(index: number, address: string, prefixLength: number): void {
  const request = Buffer.alloc(24);
  request.set(ipv6Bytes(address));
  request.writeUInt32LE(prefixLength, 16);
  request.writeInt32LE(index, 20);
  const setAddress = 0x8916; // SIOCSIFADDR
  try {
    withSocket((fd) => ioctl(fd, setAddress, request, `address ${address}/${prefixLength}`));
  } catch (error) {
    if (!isThere(error)) throw error;
  }
}

/** The default route by a gateway. struct in6_rtmsg: 80 bytes. */
export function addIpv6DefaultRoute(index: number, gateway: string): void {
  const route = Buffer.alloc(80);
  route.set(ipv6Bytes(gateway), 32);
  route.writeUInt32LE(1024, 56); // metric: behind what the kernel makes itself
  const flags = { up: 1, gateway: 2 } as const; // RTF_
  route.writeUInt32LE(flags.up | flags.gateway, 72);
  route.writeInt32LE(index, 76);
  const addRoute = 0x890b; // SIOCADDRT
  try {
    withSocket((fd) => ioctl(fd, addRoute, route, `default route over ${gateway}`));
  } catch (error) {
    if (!isThere(error)) throw error;
  }
}
