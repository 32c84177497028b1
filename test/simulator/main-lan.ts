import type { SimulatedLan } from "./profile.ts";

const isMac = (mac: string) => !/^(00:){5}00$|^(ff:){5}ff$/i.test(mac) && (Number.parseInt(mac, 16) & 1) === 0;

/**
 * The LAN channel on whose network the BMC is to be found: one with a MAC and an IPv4 address before one with a MAC and an
 * IPv6 address before one with a MAC.
 * @throws Error for a BMC without one
 */
export function mainLan(lans: readonly SimulatedLan[]): SimulatedLan {
  const candidates = lans.filter(({ mac }) => isMac(mac));
  const found =
    candidates.find(({ ipv4Address }) => ipv4Address !== "0.0.0.0") ??
    candidates.find(({ ipv6Address }) => ipv6Address !== undefined) ??
    candidates[0];
  if (found === undefined) throw new Error("this BMC has no LAN channel with a MAC");
  return found;
}
