import type { DhcpLink } from "./dhcp-client.ts";
import { openPacketSocket } from "./packet-socket.ts";

const protocolIp = 0x0800; // ETH_P_IP
const everybody = Buffer.alloc(6, 0xff);
const serverPort = 67;
const clientPort = 68;

/** DHCP on an interface that has no address yet: IPv4 and UDP headers by us, through a packet socket. */
export function openPacketLink(index: number): DhcpLink {
  const socket = openPacketSocket(index, protocolIp);
  return {
    send: (message) => socket.send(wrapInUdp(message), everybody),
    receive: (waitMs, signal) => socket.receive(unwrapUdp, waitMs, signal),
    close: () => socket.close(),
  };
}

/** The sum of 16-bit words in one's complement. RFC 1071. */
function checksum(bytes: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** An IPv4 packet from 0.0.0.0:68 to 255.255.255.255:67. RFC 791, RFC 768. */
export function wrapInUdp(message: Uint8Array): Buffer {
  const udpBytes = 8 + message.length;
  const ip = Buffer.alloc(20);
  ip[0] = 0x45;
  ip.writeUInt16BE(20 + udpBytes, 2);
  ip[8] = 64;
  ip[9] = 17;
  ip.fill(0xff, 16, 20);
  ip.writeUInt16BE(checksum(ip), 10);
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(clientPort, 0);
  udp.writeUInt16BE(serverPort, 2);
  udp.writeUInt16BE(udpBytes, 4);
  const pseudoHeader = Buffer.concat([ip.subarray(12, 20), Buffer.from([0, 17, udpBytes >> 8, udpBytes & 0xff])]);
  udp.writeUInt16BE(checksum(Buffer.concat([pseudoHeader, udp, message])) || 0xffff, 6);
  return Buffer.concat([ip, udp, message]);
}

/**
 * The DHCP message in an IPv4 packet; undefined for any other packet. The UDP checksum is not looked at: packets between
 * virtual machines carry it unfinished (checksum offload), and a DHCP message is checked by its transaction and MAC.
 */
export function unwrapUdp(packet: Uint8Array): Uint8Array | undefined {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  if (packet.length < 28 || packet[0] === undefined || packet[0] >> 4 !== 4 || packet[9] !== 17) return undefined;
  const headerBytes = 4 * (packet[0] & 0x0f);
  const isFragment = (view.getUint16(6) & 0x3fff) !== 0;
  if (headerBytes < 20 || isFragment || packet.length < headerBytes + 8) return undefined;
  if (checksum(packet.subarray(0, headerBytes)) !== 0) return undefined;
  if (view.getUint16(headerBytes) !== serverPort || view.getUint16(headerBytes + 2) !== clientPort) return undefined;
  const end = headerBytes + view.getUint16(headerBytes + 4);
  if (end < headerBytes + 8 || end > packet.length) return undefined;
  return packet.subarray(headerBytes + 8, end);
}
