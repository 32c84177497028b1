import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { hasDefaultRoute } from "./interfaces.ts";
import { parseIfInet6 } from "./ipv6-interface.ts";

/** True when the network was set up before us: by the kernel, or by a program. */
export function isNetworkUp(): boolean {
  const interfaces = networkInterfaces();
  return (
    hasDefaultRoute(readOr("/proc/net/route")) ||
    hasIpv6DefaultRoute(readOr("/proc/net/ipv6_route")) ||
    hasAddress(interfaces) ||
    hasIpv6Address(Object.keys(interfaces), readOr("/proc/net/if_inet6"))
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
 * Whether somebody gave one of the interfaces that have a link an address of IPv6. Those of fe80::/10 the kernel makes up, and
 * others it takes from a router without being asked.
 * @param text /proc/net/if_inet6
 */
export const hasIpv6Address = (names: readonly string[], text: string): boolean =>
  names
    .filter((name) => name !== "lo")
    .flatMap((name) => parseIfInet6(text, name))
    .some(({ isGiven, isLinkLocal, isDuplicate }) => isGiven && !isLinkLocal && !isDuplicate);

/** Whether somebody made a default route of IPv6, one that neither refuses nor came by an advertisement. `text`: /proc/net/ipv6_route. */
export function hasIpv6DefaultRoute(text: string): boolean {
  const notGiven = 0x0004_0200; // RTF_ADDRCONF, RTF_REJECT
  return text.split("\n").some((line) => {
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
