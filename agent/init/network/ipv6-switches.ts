import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What the kernel does with IPv6 on an interface; Documentation/networking/ip-sysctl.rst in Linux. */
export type Ipv6Switches = Readonly<Record<string, string>>;

const folderOf = (name: string): string => join("/proc/sys/net/ipv6/conf", name);

/** IPv6 is on, and addresses are made out of what routers advertise, also where packets are forwarded. */
const on: Ipv6Switches = { disable_ipv6: "0", accept_ra: "2", autoconf: "1" };

/** Empty where the kernel has no IPv6. */
export function readIpv6Switches(name: string): Ipv6Switches {
  try {
    return Object.fromEntries(
      Object.keys(on).map((key) => [key, readFileSync(join(folderOf(name), key), "latin1").trim()]),
    );
  } catch {
    return {};
  }
}

/** Whether the kernel makes addresses out of what routers advertise. */
export const takesAdvertisements = ({ disable_ipv6, accept_ra, autoconf }: Ipv6Switches): boolean =>
  disable_ipv6 === "0" && accept_ra !== "0" && autoconf === "1";

/** Writes only what is to be changed. @throws the error of the file system */
export function writeIpv6Switches(name: string, switches: Ipv6Switches): void {
  const now = readIpv6Switches(name);
  for (const [key, value] of Object.entries(switches)) {
    if (now[key] !== value) writeFileSync(join(folderOf(name), key), value);
  }
}

/** Has the kernel use IPv6 on an interface, and make its addresses out of what routers tell. @returns whether it can */
export function enableIpv6(name: string): boolean {
  try {
    writeIpv6Switches(name, on);
    return "disable_ipv6" in readIpv6Switches(name);
  } catch {
    return false;
  }
}
