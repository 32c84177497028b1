import { constants } from "node:os";
import { systemClock } from "../../../inband/clock.ts";
import { bindSocket, closeFile, LibcError, openSocket, receiveFromLink, sendTo } from "../libc.ts";

const family = 17; // AF_PACKET
const datagram = 2; // SOCK_DGRAM: the kernel makes the Ethernet header

/**
 * PACKET_OTHERHOST: not for this interface. The kernel marks so, besides frames for other machines, those of a VLAN that nobody
 * has here, after it (or the adapter) took the tag out: they look like untagged ones then.
 */
const forAnother = 3;

/** Packets of one protocol on one link, without their Ethernet header. packet(7). */
export interface PacketSocket {
  /** A link that is down loses it. `to`: a MAC. */
  send(packet: Uint8Array, to: Uint8Array): void;
  /** What `read` makes of the next packet that it takes; undefined when there was none for `waitMs` milliseconds. */
  receive<T>(read: (packet: Uint8Array) => T | undefined, waitMs: number, signal: AbortSignal): Promise<T | undefined>;
  close(): void;
}

/**
 * `index` is the interface's number (/sys/class/net/NAME/ifindex), `protocol` an ETH_P_ of linux/if_ether.h.
 * Needs CAP_NET_RAW.
 */
export function openPacketSocket(index: number, protocol: number): PacketSocket {
  // the protocol in network byte order, as socket(2) wants it for packet sockets
  const fd = openSocket(family, datagram, ((protocol & 0xff) << 8) | (protocol >> 8));
  try {
    bindSocket(fd, linkAddress(index, protocol));
  } catch (error) {
    closeFile(fd);
    throw error;
  }
  const buffer = Buffer.alloc(2048);
  const next = () => ignoringDown(() => receiveFromLink(fd, buffer));
  return {
    send(packet, to) {
      ignoringDown(() => sendTo(fd, Buffer.from(packet), linkAddress(index, protocol, to)));
    },
    async receive(read, waitMs, signal) {
      const until = systemClock.now() + waitMs;
      // recv() with a time-out would stop the event loop: look often at first, an answer takes about a millisecond
      for (let pauseMs = 1; ; pauseMs = Math.min(pauseMs * 1.5, 20)) {
        for (let packet = next(); packet; packet = next()) {
          const found = packet.type === forAnother ? undefined : read(packet.data);
          if (found !== undefined) return found;
        }
        if (systemClock.now() >= until) return undefined;
        await systemClock.sleep(pauseMs, signal);
      }
    },
    close: () => closeFile(fd),
  };
}

/** struct sockaddr_ll: 20 bytes. */
function linkAddress(index: number, protocol: number, destination?: Uint8Array): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(family, 0);
  address.writeUInt16BE(protocol, 2);
  address.writeInt32LE(index, 4);
  if (destination) {
    address[11] = destination.length;
    address.set(destination, 12);
  }
  return address;
}

/** A link that went down or a full queue is no error: clients send again anyway. */
function ignoringDown<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    const { ENETDOWN, EAGAIN, ENOBUFS } = constants.errno;
    if (error instanceof LibcError && [ENETDOWN, EAGAIN, ENOBUFS].includes(error.errno)) return undefined;
    throw error;
  }
}
