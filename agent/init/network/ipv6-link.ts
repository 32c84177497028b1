import { createSocket } from "node:dgram";
import { systemClock } from "../../../inband/clock.ts";
import { bindSocket, closeFile, openSocket, receive, sendTo } from "../libc.ts";
import type { Dhcp6Link } from "./dhcp6-client.ts";
import type { RouterLink } from "./ipv6-client.ts";
import { ignoringDown } from "./packet-link.ts";
import { decodeAdvertisement, encodeSolicitation } from "./router-advertisement.ts";

const family = 17; // AF_PACKET
const datagram = 2; // SOCK_DGRAM
const protocolIpv6 = 0x86dd; // ETH_P_IPV6
/** ff02::2 as Ethernet address. RFC 2464 §7. */
const allRouters = Buffer.from("333300000002", "hex");

/** struct sockaddr_ll, packet(7). */
function linkAddress(index: number, destination?: Uint8Array): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(family, 0);
  address.writeUInt16BE(protocolIpv6, 2);
  address.writeInt32LE(index, 4);
  if (destination) {
    address[11] = destination.length;
    address.set(destination, 12);
  }
  return address;
}

/** Hears routers by a packet socket: it shows hop limits, and DNS servers, of which the kernel makes nothing. */
export function openRouterLink(index: number): RouterLink {
  const fd = openSocket(family, datagram, ((protocolIpv6 & 0xff) << 8) | (protocolIpv6 >> 8));
  try {
    bindSocket(fd, linkAddress(index));
  } catch (error) {
    closeFile(fd);
    throw error;
  }
  const buffer = Buffer.alloc(2048);
  return {
    solicit: () => void ignoringDown(() => sendTo(fd, encodeSolicitation(), linkAddress(index, allRouters))),
    async receive(waitMs, signal) {
      const until = systemClock.now() + waitMs;
      for (;;) {
        for (;;) {
          const packet = ignoringDown(() => receive(fd, buffer));
          if (packet === undefined) break;
          const heard = decodeAdvertisement(packet);
          if (heard) return heard;
        }
        if (systemClock.now() >= until) return undefined;
        await systemClock.sleep(20, signal);
      }
    },
    close: () => closeFile(fd),
  };
}

/** DHCPv6 from an address of the link: an ordinary UDP socket on port 546. RFC 8415 §7.2. */
export async function openDhcp6Link(name: string, linkLocal: string): Promise<Dhcp6Link> {
  const socket = createSocket({ type: "udp6", reuseAddr: true });
  const waiting: Uint8Array[] = [];
  let wake: () => void = () => undefined;
  socket.on("message", (message) => {
    waiting.push(message);
    wake();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(546, `${linkLocal}%${name}`, resolve);
  });
  socket.on("error", () => undefined);
  return {
    send: (message) => socket.send(message, 547, `ff02::1:2%${name}`, () => undefined),
    async receive(waitMs, signal) {
      signal.throwIfAborted();
      if (waiting.length === 0) {
        const woken = new AbortController();
        wake = () => woken.abort();
        const either = AbortSignal.any([signal, woken.signal]);
        await systemClock.sleep(waitMs, either).catch(() => signal.throwIfAborted());
      }
      return waiting.shift();
    },
    close: () => socket.close(),
  };
}
