import { bindSocket } from "./bound-socket.ts";
import type { Dhcp6Link } from "./dhcp6-client.ts";
import type { RouterLink } from "./ipv6-client.ts";
import { openPacketSocket } from "./packet-socket.ts";
import { decodeAdvertisement, encodeSolicitation } from "./router-advertisement.ts";

const protocolIpv6 = 0x86dd; // ETH_P_IPV6
/** ff02::2 as Ethernet address. RFC 2464 §7. */
const allRouters = Buffer.from("333300000002", "hex");

/** Hears routers by a packet socket: it shows hop limits, and DNS servers, of which the kernel makes nothing. */
export function openRouterLink(index: number): RouterLink {
  const socket = openPacketSocket(index, protocolIpv6);
  return {
    solicit: () => socket.send(encodeSolicitation(), allRouters),
    receive: (waitMs, signal) => socket.receive(decodeAdvertisement, waitMs, signal),
    close: () => socket.close(),
  };
}

/** DHCPv6 from an address of the link: an ordinary UDP socket on port 546. RFC 8415 §7.2. */
export async function openDhcp6Link(name: string, linkLocal: string): Promise<Dhcp6Link> {
  const socket = await bindSocket("udp6", 546, `${linkLocal}%${name}`);
  return { ...socket, send: (message) => socket.send(message, 547, `ff02::1:2%${name}`) };
}
