import { expect, test } from "vitest";
import { overlayPart } from "./overlay.ts";
import type { CpioPart } from "./packed-cpio.ts";
import { agentParts, agentPath } from "./private-prefix.ts";
import { ramdiskParts } from "./ramdisk.ts";

const tree = {
  agent: Buffer.from("agent"),
  libraries: [{ path: "/lib64/ld-linux-x86-64.so.2", body: Buffer.from("linker") }],
};
const kernel = {
  release: "6.1.0-0-amd64",
  modules: [{ file: { path: "kernel/igb.ko", needs: [] }, body: Buffer.from("module") }],
  aliases: "alias pci:* igb\n",
};
const entries = (parts: readonly CpioPart[]) =>
  new Map(parts.flatMap((part) => part.entries.map((entry) => [entry.path, entry] as const)));

test("agent and libraries lie below one folder of their own", () => {
  expect([...entries(agentParts(tree)).keys()]).toEqual([
    "opt/rivet/bin/metal-rivet",
    "opt/rivet/lib/ld-linux-x86-64.so.2",
  ]);
});

test("the overlay brings that and /inito, and nothing that a foreign ramdisk could have", () => {
  const all = entries([...agentParts(tree), overlayPart]);
  expect([...all.keys()].filter((path) => !path.startsWith("opt/rivet/"))).toEqual(["inito"]);
  expect(all.get("inito")).toEqual({ kind: "link", path: "inito", target: agentPath });
});

test("the ramdisk's init is the agent, and it has modules and their lists", () => {
  const all = entries(ramdiskParts(kernel));
  expect(all.get("init")).toEqual({ kind: "link", path: "init", target: agentPath });
  const below = [...all.keys()].filter((path) => path.startsWith("lib/modules/6.1.0-0-amd64/"));
  expect(below.map((path) => path.slice("lib/modules/6.1.0-0-amd64/".length))).toEqual([
    "modules.dep",
    "modules.alias",
    "kernel/igb.ko",
  ]);
});
