import { readFileSync, writeFileSync } from "node:fs";
import { resolvConf } from "../init/network/apply-network.ts";
import type { AsFound } from "./as-found.ts";
import { rememberFile } from "./network-as-found.ts";

/** Where the kernel tells what it got by `ip=`. Linux Documentation/admin-guide/nfs/nfsroot.rst. */
const told = "/proc/net/pnp";
const used = "/etc/resolv.conf";

/**
 * Has the name servers asked that the kernel was told when it brought up the network: it does not do that itself, and what a
 * ramdisk's own resolv.conf names may be out of reach. Those come after. Returns the servers; none if all of them were named.
 * @param root "" in life
 * @throws the error of the file system
 */
export function useKernelNameServers(asFound: AsFound, root = ""): string[] {
  const text = readOr(root + told);
  const before = readOr(root + used);
  const servers = [...text.matchAll(/^nameserver (\d+(?:\.\d+){3})$/gm)].map(([, address = ""]) => address);
  const named = new Set([...before.matchAll(/^nameserver\s+(\S+)/gm)].map(([, address]) => address));
  if (servers.every((address) => named.has(address))) return [];
  // a server's word: letters, digits, hyphen, underscore and dots only
  const domain = /^domain ([\w.-]+)$/m.exec(text)?.[1];
  rememberFile(asFound, root + used);
  writeFileSync(root + used, `${resolvConf({ dns: servers, domain, search: [] })}${before}`);
  return servers;
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
