import { existsSync, readdirSync, readFileSync, realpathSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { setHostName } from "../init/libc.ts";
import {
  type InterfaceState,
  interfaceNamed,
  interfaceState,
  listInterfaces,
  restoreInterface,
  switchOff,
} from "../init/network/interfaces.ts";
import { takesAdvertisements } from "../init/network/ipv6-switches.ts";
import { readTables, restoreTables } from "../init/network/kernel-tables.ts";
import { removeVlan } from "../init/network/vlan.ts";
import type { AsFound } from "./as-found.ts";

/** What a network that was brought up writes besides the kernel's tables. */
const files = ["/etc/resolv.conf", "/etc/hosts"];

/**
 * Notes how the network is now: names, and of each adapter, of lo and of tagged interfaces whether they are on, their MTU,
 * addresses and routes. What the kernel makes out of advertisements of routers is its own where it was told to before.
 * @param root "" in life
 */
export function rememberNetwork(asFound: AsFound, root = ""): void {
  const [sys, etc] = [`${root}/sys`, `${root}/etc`];
  if (!existsSync(etc)) asFound.later(etc, () => (existsSync(etc) ? rmdirSync(etc) : undefined));
  for (const path of files) rememberFile(asFound, root + path);
  const hostName = hostname();
  asFound.later("host name", () => {
    if (hostname() !== hostName) setHostName(hostName);
  });
  const adapters = () => listInterfaces(sys).map(({ name }) => name);
  const taggedBefore = tagged(root).map(([name]) => name);
  const states = ["lo", ...adapters(), ...taggedBefore].flatMap((name) => interfaceState(name, sys) ?? []);
  rememberTables(asFound, states, () => adapters().map((name) => interfaceNamed(name, sys).index));
  for (const state of states) asFound.later(`interface ${state.name}`, () => restoreInterface(state));
  asFound.later("adapters of drivers that were loaded", () => {
    for (const name of adapters()) if (!states.some((each) => each.name === name)) switchOff(name);
  });
  asFound.later("VLAN", () => {
    for (const [name, device, id] of tagged(root)) if (!taggedBefore.includes(name)) removeVlan(device, id);
  });
}

/** `adapters`: the indexes of those that are there when it is put back. */
function rememberTables(asFound: AsFound, states: readonly InterfaceState[], adapters: () => number[]): void {
  const before = readTables();
  asFound.later("addresses and routes", () => {
    const advertised = new Set(states.filter(({ ipv6 }) => takesAdvertisements(ipv6)).map(({ index }) => index));
    const touched = new Set([...states.map(({ index }) => index), ...adapters()]);
    restoreTables(before, ({ index, isKernels }) => touched.has(index) && !(isKernels && advertised.has(index)));
  });
}

/** Tagged interfaces as we name them: "eth0.5", its adapter and its VLAN. */
function tagged(root: string): (readonly [name: string, device: string, id: number])[] {
  const folder = `${root}/sys/class/net`;
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.flatMap((name) => {
    const [, device, id] = /^(.+)\.(\d+)$/.exec(name) ?? [];
    return device === undefined ? [] : [[name, device, Number(id)] as const];
  });
}

/** Notes what is in a file, or that there is none. */
export function rememberFile(asFound: AsFound, path: string): void {
  const before = existsSync(path) ? readFileSync(path) : undefined;
  asFound.later(path, () => {
    // a link stays, also one that led nowhere before
    if (before === undefined) return existsSync(path) ? rmSync(realpathSync(path)) : undefined;
    // written only if it was changed: a file system may be read-only
    if (!readFileSync(path).equals(before)) writeFileSync(path, before);
  });
}
