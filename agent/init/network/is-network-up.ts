import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { hasDefaultRoute } from "./interfaces.ts";

/** True when the network was set up before us: by the kernel, or by a program. */
export function isNetworkUp(): boolean {
  return hasDefaultRoute(readOr("/proc/net/route")) || hasAddress(networkInterfaces());
}

/**
 * Whether an interface has an address that somebody gave it. Those of fe80::/10 and 169.254.0.0/16 a machine makes up itself,
 * and others of IPv6 the kernel takes from a router without being asked.
 */
export const hasAddress = (interfaces: ReturnType<typeof networkInterfaces>): boolean =>
  Object.values(interfaces).some((addresses) =>
    addresses?.some(
      ({ internal, family, address }) => !internal && family === "IPv4" && !address.startsWith("169.254."),
    ),
  );

function readOr(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
