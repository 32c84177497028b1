import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setHostName } from "../libc.ts";
import type { Bound } from "./bring-up.ts";
import { addRoute, bringUp, setAddress, setMtu } from "./interfaces.ts";
import { writeIpv6Switches } from "./ipv6-switches.ts";
import { type NetworkValues, networkValues } from "./network-values.ts";
import { removeVlan } from "./vlan.ts";

/**
 * Puts to use what was got: address, MTU, routes, resolv.conf, host name. Throws when the address cannot be set; what else a
 * server tells may be wrong without making the address useless: returned, a sentence each.
 */
export function applyLease(bound: Bound): string[] {
  const { nic, lease } = bound;
  const problems: string[] = [];
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      problems.push(
        `${lease === undefined ? "IPv6" : `DHCP server ${lease.server}`}: ${error instanceof Error ? error.message : error}`,
      );
    }
  };
  const { prefixLength, routes, mtu, hostName, ...names } = networkValues(bound);
  if (lease !== undefined) setAddress(nic.name, lease.address, prefixLength);
  if (mtu !== undefined) attempt(() => setMtu(nic.name, mtu));
  for (const route of routes) attempt(() => addRoute(nic.name, route));
  if (hostName !== undefined) attempt(() => setHostName(hostName.split(".")[0]?.slice(0, 63) ?? ""));
  attempt(() => {
    mkdirSync("/etc", { recursive: true });
    writeFileSync("/etc/resolv.conf", resolvConf(names));
  });
  return problems;
}

/** Takes away what `applyLease` and the kernel's IPv6 put there: addresses and the routes over them, or the tagged interface. */
export function takeAway({ adapter, nic, lease, ipv6 }: Bound, vlan: number | undefined): void {
  if (vlan !== undefined) {
    removeVlan(adapter.name, vlan);
    return;
  }
  if (lease !== undefined) setAddress(nic.name, "0.0.0.0", 0);
  if (ipv6 !== undefined) writeIpv6Switches(nic.name, { disable_ipv6: "1" });
}

/** resolv.conf(5): at most three servers count. */
export function resolvConf({ dns, domain, search }: Pick<NetworkValues, "dns" | "domain" | "search">): string {
  const names = search.length > 0 ? search : domain === undefined ? [] : [domain];
  const lines = [
    ...(names.length > 0 ? [`search ${names.join(" ")}`] : []),
    ...dns.slice(0, 3).map((each) => `nameserver ${each}`),
  ];
  return lines.map((line) => `${line}\n`).join("");
}

/** The interface 127.0.0.1 lives on, and the names that need no DNS. */
export function bringUpLoopback(): void {
  bringUp("lo");
  writeHosts("/etc/hosts");
}

/** hosts(5), unless there is one: a site may have put its names into the ramdisk. */
export function writeHosts(path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  if (!existsSync(path)) writeFileSync(path, "127.0.0.1 localhost\n::1 localhost\n");
}
