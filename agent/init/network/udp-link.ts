import { bindSocket } from "./bound-socket.ts";
import type { DhcpLink } from "./dhcp-client.ts";

/** DHCP with one server from an address we have: an ordinary UDP socket on port 68. RFC 2131 §4.1. */
export async function openUdpLink(address: string): Promise<DhcpLink> {
  const socket = await bindSocket("udp4", 68, address);
  return { ...socket, send: (message, to) => socket.send(message, 67, to) };
}
