import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { gatherInventory, type SystemInformation } from "./inventory.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "rivet-inventory-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
const link = (path: string, target: string): void => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  mkdirSync(join(root, target), { recursive: true });
  symlinkSync(join(root, target), join(root, path));
};
const never = (): Promise<never> => Promise.reject(new Error("was asked"));
const silent: SystemInformation = { memoryBytes: never, processors: never, disks: never };
const signal = new AbortController().signal;

/** One logical processor, the fields in the order of Linux on x86. */
const cpu = (processor: number, socket: number, core: number): string =>
  `processor\t: ${processor}\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Gold 6130\nphysical id\t: ${socket}\nsiblings\t: 4\ncore id\t\t: ${core}\ncpu cores\t: 2\n`;

test("a server with two sockets, a disk of each kind and two adapters", async () => {
  write("proc/cpuinfo", [0, 1, 2, 3, 4, 5, 6, 7].map((n) => cpu(n, n & 1, (n >> 1) & 1)).join("\n"));
  write("proc/meminfo", "MemTotal:       24684096 kB\nMemFree:        23005404 kB\n");
  write("sys/block/sda/size", "7814037168\n");
  write("sys/block/sda/queue/rotational", "1\n");
  link("sys/block/sda/device", "sys/devices/sda");
  write("sys/devices/sda/model", "ST4000NM0035    \n");
  write("sys/block/nvme0n1/size", "1875385008\n");
  write("sys/block/nvme0n1/queue/rotational", "0\n");
  link("sys/block/nvme0n1/device", "sys/devices/nvme0");
  write("sys/devices/nvme0/model", "SAMSUNG MZ\n");
  write("sys/devices/nvme0/serial", "S1234\n");
  write("sys/block/loop0/size", "8\n");
  write("sys/block/sr0/size", "100\n");
  link("sys/block/sr0/device", "sys/devices/sr0");
  write("sys/class/net/lo/address", "00:00:00:00:00:00\n");
  for (const [name, mac, carrier] of [
    ["eth1", "52:54:00:00:00:02", "0"],
    ["eth0", "52:54:00:AA:00:01", "1"],
  ] as const) {
    write(`sys/class/net/${name}/address`, `${mac}\n`);
    write(`sys/class/net/${name}/carrier`, `${carrier}\n`);
    write(`sys/class/net/${name}/speed`, carrier === "1" ? "25000\n" : "-1\n");
    link(`sys/class/net/${name}/device`, `sys/devices/${name}`);
    link(`sys/devices/${name}/driver`, "sys/bus/pci/drivers/ice");
  }
  const disks = async () => [{ name: "sda", model: "other", serial: "ZC1" }];
  expect(await gatherInventory(signal, root, { ...silent, disks })).toEqual({
    processors: Array.from({ length: 2 }, () => ({
      vendor: "GenuineIntel",
      model: "Intel(R) Xeon(R) Gold 6130",
      cores: 2,
      threads: 4,
    })),
    memoryBytes: 25276514304n,
    disks: [
      { name: "nvme0n1", model: "SAMSUNG MZ", serialNumber: "S1234", sizeBytes: 960197124096n, rotational: false },
      { name: "sda", model: "ST4000NM0035", serialNumber: "ZC1", sizeBytes: 4000787030016n, rotational: true },
    ],
    networkInterfaces: [
      { name: "eth0", mac: "52:54:00:aa:00:01", driver: "ice", speedMbps: 25000, link: true },
      { name: "eth1", mac: "52:54:00:00:00:02", driver: "ice", speedMbps: 0, link: false },
    ],
    gaps: [],
  });
});

test("nothing in /proc and /sys: what systeminformation tells, and the gaps", async () => {
  const inventory = await gatherInventory(signal, root, {
    memoryBytes: async () => 1024,
    processors: async () => ({ vendor: "ARM", model: "Neoverse-N1", sockets: 2, cores: 160, threads: 160 }),
    disks: never,
  });
  expect(inventory.memoryBytes).toBe(1024n);
  expect(inventory.processors).toEqual(
    Array.from({ length: 2 }, () => ({ vendor: "ARM", model: "Neoverse-N1", cores: 80, threads: 80 })),
  );
  expect(inventory.gaps).toEqual(["disks: the kernel shows none; are the storage drivers loaded?"]);
});

test("what cannot be found out is a gap, not a failure", async () => {
  expect((await gatherInventory(signal, root, silent)).gaps).toEqual([
    "disks: the kernel shows none; are the storage drivers loaded?",
    "memory: was asked",
    "processors: was asked",
  ]);
  const aborted = await gatherInventory(AbortSignal.abort(new Error("no time left")), root, silent);
  expect(aborted.gaps).toEqual([
    ...["disks", "memory", "network adapters", "processors"].map((what) => `${what}: no time left`),
  ]);
});

test("this machine", async () => {
  const inventory = await gatherInventory(signal);
  expect(inventory.memoryBytes).toBeGreaterThan(0n);
  expect(inventory.processors[0]?.threads).toBeGreaterThan(0);
});
