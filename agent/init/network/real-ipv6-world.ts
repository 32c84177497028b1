import { existsSync } from "node:fs";
import type { Ipv6World } from "./ipv6-client.ts";
import { addIpv6Address, addIpv6DefaultRoute, ipv6Addresses } from "./ipv6-interface.ts";
import { openDhcp6Link, openRouterLink } from "./ipv6-link.ts";
import { enableIpv6 } from "./ipv6-switches.ts";

/** Whether the kernel has IPv6. */
export const hasIpv6 = (): boolean => existsSync("/proc/net/if_inet6");

export const realIpv6World: Ipv6World = {
  enable: enableIpv6,
  openRouterLink: (nic) => openRouterLink(nic.index),
  openDhcp: (nic, linkLocal) => openDhcp6Link(nic.name, linkLocal),
  addresses: ipv6Addresses,
  addAddress: (nic, address, prefixLength) => addIpv6Address(nic.index, address, prefixLength),
  addDefaultRoute: (nic, gateway) => addIpv6DefaultRoute(nic.index, gateway),
};
