import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { addressOf, closeFile, ioctl, LibcError, openSocket } from "../libc.ts";
import type { Route } from "./dhcp-message.ts";
import { type Ipv6Switches, readIpv6Switches, writeIpv6Switches } from "./ipv6-switches.ts";

/** An Ethernet adapter as sysfs shows it. */
export interface NetworkInterface {
  readonly name: string;
  readonly index: number;
  /** Lower case with colons. */
  readonly mac: string;
  readonly macBytes: Uint8Array;
}

/** Ethernet adapters with hardware behind them, in the order of their index. `sys` is /sys. */
export function listInterfaces(sys = "/sys"): NetworkInterface[] {
  const folder = join(sys, "class/net");
  if (!existsSync(folder)) return [];
  const ethernet = "1"; // ARPHRD_ETHER
  return readdirSync(folder)
    .filter((name) => readAttribute(sys, name, "type") === ethernet && existsSync(join(folder, name, "device")))
    .map((name) => interfaceNamed(name, sys))
    .filter(({ index, macBytes }) => index > 0 && macBytes.length === 6)
    .sort((a, b) => a.index - b.index);
}

/** The interface of that name, whatever it is. Its index is not a number if there is none. */
export function interfaceNamed(name: string, sys = "/sys"): NetworkInterface {
  const mac = readAttribute(sys, name, "address") ?? "";
  const macBytes = Buffer.from(mac.replaceAll(":", ""), "hex");
  return { name, index: Number(readAttribute(sys, name, "ifindex")), mac, macBytes };
}

/** Whether the other end of the cable is there. An interface that is down has no carrier. */
export const hasLink = (name: string, sys = "/sys"): boolean => readAttribute(sys, name, "carrier") === "1";

function readAttribute(sys: string, name: string, attribute: string): string | undefined {
  try {
    return readFileSync(join(sys, "class/net", name, attribute), "latin1").trim();
  } catch {
    return undefined; // EINVAL: not known while the interface is down
  }
}

/** Whether somebody (the kernel, a program before us) has made a default route. `text` is /proc/net/route. */
export const hasDefaultRoute = (text: string): boolean =>
  text
    .split("\n")
    .slice(1)
    .some((line) => line.split("\t")[1] === "00000000" && line.split("\t")[7] === "00000000");

// linux/sockios.h
const requests = {
  addRoute: 0x890b,
  getFlags: 0x8913,
  setFlags: 0x8914,
  setAddress: 0x8916,
  setMask: 0x891c,
  setMtu: 0x8922,
} as const;
const up = 1; // IFF_UP

/** struct ifreq, netdevice(7): 16 bytes of name and a union of 24. */
function interfaceRequest(name: string): Buffer {
  const request = Buffer.alloc(40);
  request.write(name.slice(0, 15), 0, "latin1");
  return request;
}

/** struct sockaddr_in, ip(7): 16 bytes. */
function socketAddress(into: Buffer, at: number, address: string): void {
  const internet = 2; // AF_INET
  into.writeUInt16LE(internet, at);
  into.set(address.split(".").map(Number), at + 4);
}

function withSocket(work: (fd: number) => void): void {
  const fd = openSocket(2, 2, 0);
  try {
    work(fd);
  } finally {
    closeFile(fd);
  }
}

/** Switches an interface on. */
export const bringUp = (name: string): void => setFlags(name, "up", (flags) => flags | up);

/** Switches an interface off, which takes its routes and, as a rule, its IPv6 addresses. */
export const switchOff = (name: string): void => setFlags(name, "down", (flags) => flags & ~up);

function setFlags(name: string, what: string, change: (flags: number) => number): void {
  withSocket((fd) => {
    const request = interfaceRequest(name);
    ioctl(fd, requests.getFlags, request, `flags of ${name}`);
    request.writeInt16LE(change(request.readInt16LE(16)), 16);
    ioctl(fd, requests.setFlags, request, `${what} ${name}`);
  });
}

/** What of an interface is put back afterwards. */
export interface InterfaceState {
  readonly name: string;
  readonly index: number;
  readonly isUp: boolean;
  /** Bytes per packet. */
  readonly mtu: number;
  /** What the kernel does with IPv6 on it. */
  readonly ipv6: Ipv6Switches;
}

/** How an interface is now; undefined if there is none of that name. */
export function interfaceState(name: string, sys = "/sys"): InterfaceState | undefined {
  const mtu = Number(readAttribute(sys, name, "mtu"));
  if (!(mtu > 0)) return undefined;
  const isUp = (Number(readAttribute(sys, name, "flags")) & up) !== 0;
  return { name, index: interfaceNamed(name, sys).index, isUp, mtu, ipv6: readIpv6Switches(name) };
}

/** Undoes what was done to an interface since; its addresses and routes are restoreTables' part. */
export function restoreInterface({ name, isUp, mtu, ipv6 }: InterfaceState): void {
  try {
    setMtu(name, mtu);
    if (!isUp) switchOff(name);
    writeIpv6Switches(name, ipv6);
  } catch (error) {
    // it is gone
    if (!(error instanceof LibcError && error.code === "ENODEV")) throw error;
  }
}

export const maskOf = (prefixLength: number): string =>
  [24, 16, 8, 0]
    .map((shift) => (prefixLength === 0 ? 0 : ((0xffffffff << (32 - prefixLength)) >>> shift) & 0xff))
    .join(".");

/** Gives an interface its IPv4 address; "0.0.0.0" takes it away, and the routes over it with it. */
export function setAddress(name: string, address: string, prefixLength: number): void {
  withSocket((fd) => {
    const request = interfaceRequest(name);
    socketAddress(request, 16, address);
    ioctl(fd, requests.setAddress, request, `address ${address} of ${name}`);
    if (address === "0.0.0.0") return;
    const mask = interfaceRequest(name);
    socketAddress(mask, 16, maskOf(prefixLength));
    ioctl(fd, requests.setMask, mask, `mask of ${name}`);
  });
}

/** Bytes per packet. */
export function setMtu(name: string, mtu: number): void {
  withSocket((fd) => {
    const request = interfaceRequest(name);
    request.writeInt32LE(mtu, 16);
    ioctl(fd, requests.setMtu, request, `MTU ${mtu} of ${name}`);
  });
}

/** struct rtentry, linux/route.h, 64 bits: 120 bytes. `device` must live until the call is done. */
function routeEntry(route: Route, device: Buffer): Buffer {
  const flags = { up: 1, gateway: 2, host: 4 } as const; // RTF_
  const entry = Buffer.alloc(120);
  socketAddress(entry, 8, route.destination);
  socketAddress(entry, 24, route.gateway);
  socketAddress(entry, 40, maskOf(route.prefixLength));
  const onLink = route.gateway === "0.0.0.0";
  entry.writeUInt16LE(flags.up | (onLink ? 0 : flags.gateway) | (route.prefixLength === 32 ? flags.host : 0), 56);
  entry.writeBigUInt64LE(addressOf(device), 88);
  return entry;
}

/**
 * Adds a route over an interface; one that is there already is fine. A gateway outside the interface's own network (a /32
 * from a cloud) gets a route of its own first.
 */
export function addRoute(name: string, route: Route): void {
  const device = Buffer.from(`${name}\0`, "latin1");
  withSocket((fd) => {
    const add = (each: Route): void => {
      const call = `route to ${each.destination}/${each.prefixLength} over ${each.gateway}`;
      try {
        ioctl(fd, requests.addRoute, routeEntry(each, device), call);
      } catch (error) {
        if (!(error instanceof LibcError && error.code === "EEXIST")) throw error;
      }
    };
    try {
      add(route);
    } catch (error) {
      if (!(error instanceof LibcError && error.code === "ENETUNREACH")) throw error;
      add({ destination: route.gateway, prefixLength: 32, gateway: "0.0.0.0" });
      add(route);
    }
  });
}
