import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { hasDefaultRoute } from "./interfaces.ts";
import { parseIfInet6 } from "./ipv6-interface.ts";

/** True when the network was set up before us: by the kernel, or by a program. */
export function isNetworkUp(): boolean {
  return (
    hasDefaultRoute(readOr("/proc/net/route")) ||
    hasAddress(networkInterfaces()) ||
    isIpv6Up(readOr("/proc/net/if_inet6"), readOr("/proc/net/ipv6_route"))
  );
}

/** Whether an interface has an address of IPv4 that somebody gave it. Those of 169.254.0.0/16 a machine makes up itself. */
export const hasAddress = (interfaces: ReturnType<typeof networkInterfaces>): boolean =>
  Object.values(interfaces).some((addresses) =>
    addresses?.some(
      ({ internal, family, address }) => !internal && family === "IPv4" && !address.startsWith("169.254."),
    ),
  );

/**
 * Whether somebody gave an interface an address of IPv6, or a default route beside one. Those of fe80::/10 the kernel makes up,
 * and others it takes from a router without being asked.
 * @param addresses /proc/net/if_inet6
 * @param routes /proc/net/ipv6_route
 */
export function isIpv6Up(addresses: string, routes: string): boolean {
  const global = parseIfInet6(addresses).filter((each) => !each.isLinkLocal && !each.isDuplicate);
  return global.some(({ isGiven }) => isGiven) || (global.length > 0 && hasIpv6DefaultRoute(routes));
}

/** A default route that neither refuses nor came by an advertisement. */
function hasIpv6DefaultRoute(routes: string): boolean {
  const notGiven = 0x0004_0200; // RTF_ADDRCONF, RTF_REJECT
  return routes.split("\n").some((line) => {
    const [to, prefix, , , , , , , flags = ""] = line.trim().split(/\s+/);
    return to === "0".repeat(32) && prefix === "00" && (Number.parseInt(flags, 16) & notGiven) === 0;
  });
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
