import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type InterfaceState, interfaceState, listInterfaces, restoreInterface } from "../init/network/interfaces.ts";
import { removeVlan } from "../init/network/vlan.ts";
import type { AsFound } from "./as-found.ts";

/** What a network that was brought up writes besides the kernel's tables. */
const files = ["/etc/resolv.conf", "/etc/hosts"];

/**
 * Notes how the network is now. An interface that is down is switched off again, which takes its addresses and routes with it;
 * one that is up without an address loses the one that it got.
 * @param root "" in life
 */
export function rememberNetwork(asFound: AsFound, root = ""): void {
  for (const path of files) rememberFile(asFound, root + path);
  const names = ["lo", ...listInterfaces(`${root}/sys`).map(({ name }) => name)];
  for (const name of names) rememberInterface(asFound, interfaceState(name, `${root}/sys`));
  const before = tagged(root);
  asFound.later("VLAN", () => {
    for (const [name, device, id] of tagged(root)) {
      if (!before.some(([known]) => known === name)) removeVlan(device, id);
    }
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

function rememberInterface(asFound: AsFound, state: InterfaceState | undefined): void {
  if (state === undefined) return;
  asFound.later(`interface ${state.name}`, () => restoreInterface(state));
}

/** Notes what is in a file, or that there is none. */
export function rememberFile(asFound: AsFound, path: string): void {
  const before = existsSync(path) ? readFileSync(path) : undefined;
  asFound.later(path, () => {
    if (before === undefined) return rmSync(path, { force: true });
    // written only if it was changed: a file system may be read-only
    if (!readFileSync(path).equals(before)) writeFileSync(path, before);
  });
}
