import { readdir, readFile, readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Disk, Inventory, NetworkInterface, Processor } from "../proto/gen/metalstack/bmc/v1/machine.ts";

/** What systeminformation is asked for; a test stands in for it. */
export interface SystemInformation {
  memoryBytes(): Promise<number>;
  /** Of all sockets together. */
  processors(): Promise<{ vendor: string; model: string; sockets: number; cores: number; threads: number }>;
  /** By kernel name; what it cannot tell is "". */
  disks(): Promise<readonly { name: string; model: string; serial: string }[]>;
}

/** Longest wait for one question to systeminformation, which starts programs where there are any. */
const questionLimitMs = 5_000;

/**
 * CPU, memory, disks and network adapters. systeminformation asks lscpu, lsblk and a shell; in a ramdisk without them it
 * still tells the memory and the processor's name, but no vendor, no disk, and only adapters that have an address. So
 * /proc and /sys come first, and it fills what they leave open. What stays unknown is a gap, not a failure.
 * `root` is "" in life.
 */
export async function gatherInventory(
  signal: AbortSignal,
  root = "",
  system: SystemInformation = systemInformation,
): Promise<Inventory> {
  const gaps: string[] = [];
  const part = async <T>(what: string, otherwise: T, work: () => Promise<T>): Promise<T> => {
    try {
      signal.throwIfAborted();
      return await work();
    } catch (error) {
      gaps.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return otherwise;
    }
  };
  const [processors, memoryBytes, disks, networkInterfaces] = await Promise.all([
    part("processors", [], () => readProcessors(root, system, signal)),
    part("memory", 0n, () => readMemory(root, system, signal)),
    part("disks", [], () => readDisks(root, system, signal)),
    part("network adapters", [], () => readNetworkInterfaces(root)),
  ]);
  if (disks.length === 0 && !gaps.some((gap) => gap.startsWith("disks:"))) {
    gaps.push("disks: the kernel shows none; are the storage drivers loaded?");
  }
  return { processors, memoryBytes, disks, networkInterfaces, gaps: gaps.sort() };
}

async function within<T>(question: Promise<T>, signal: AbortSignal): Promise<T> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(questionLimitMs)]);
  const over = Promise.withResolvers<never>();
  const stop = (): void => over.reject(new Error(`no answer within ${questionLimitMs / 1000} s`));
  limit.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([question, over.promise]);
  } finally {
    limit.removeEventListener("abort", stop);
  }
}

/** /proc/cpuinfo: one block for each logical processor; "physical id" names its socket. */
async function readProcessors(root: string, system: SystemInformation, signal: AbortSignal): Promise<Processor[]> {
  const text = await readText(join(root, "/proc/cpuinfo"));
  const sockets = new Map<string, { vendor: string; model: string; cores: Set<string>; threads: number }>();
  for (const block of text.split("\n\n")) {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}\\s*:\\s*(.*)$`, "m").exec(block)?.[1]?.trim();
    const processor = field("processor");
    const model = field("model name");
    if (processor === undefined || model === undefined) continue;
    const id = field("physical id") ?? "0";
    const socket = sockets.get(id) ?? { vendor: field("vendor_id") ?? "", model, cores: new Set<string>(), threads: 0 };
    socket.cores.add(field("core id") ?? processor);
    socket.threads++;
    sockets.set(id, socket);
  }
  if (sockets.size > 0) {
    return [...sockets.values()].map(({ vendor, model, cores, threads }) => ({
      vendor,
      model,
      cores: cores.size,
      threads,
    }));
  }
  // ARM tells neither name nor socket there
  const { vendor, model, sockets: count, cores, threads } = await within(system.processors(), signal);
  const share = (all: number): number => Math.round(all / Math.max(count, 1));
  return Array.from({ length: Math.max(count, 1) }, () => ({
    vendor,
    model,
    cores: share(cores),
    threads: share(threads),
  }));
}

async function readMemory(root: string, system: SystemInformation, signal: AbortSignal): Promise<bigint> {
  const kibibytes = /^MemTotal:\s+(\d+) kB$/m.exec(await readText(join(root, "/proc/meminfo")))?.[1];
  return kibibytes === undefined ? BigInt(await within(system.memoryBytes(), signal)) : BigInt(kibibytes) * 1024n;
}

const sectorBytes = 512n; // the unit of /sys/block/*/size, whatever the disk's own is

async function readDisks(root: string, system: SystemInformation, signal: AbortSignal): Promise<Disk[]> {
  const folder = join(root, "/sys/block");
  const disks: Disk[] = [];
  for (const name of (await listFolder(folder)).sort()) {
    const at = (path: string): Promise<string> => readText(join(folder, name, path));
    const size = BigInt((await at("size")) || "0") * sectorBytes;
    // loop, ram and device-mapper devices have no device behind them; an empty drive has no size
    if (size === 0n || !(await isLink(join(folder, name, "device"))) || /^(sr|fd|zram)\d/.test(name)) continue;
    disks.push({
      name,
      model: await at("device/model"),
      serialNumber: (await at("device/serial")) || (await at("serial")),
      sizeBytes: size,
      rotational: (await at("queue/rotational")) === "1",
    });
  }
  if (disks.every(({ model, serialNumber }) => model !== "" && serialNumber !== "")) return disks;
  // udev's database, where there is one, knows serial numbers that sysfs does not show
  const told = await within(system.disks(), signal).catch(() => []);
  return disks.map((disk) => {
    const more = told.find(({ name }) => name === disk.name);
    return {
      ...disk,
      model: disk.model || (more?.model ?? ""),
      serialNumber: disk.serialNumber || (more?.serial ?? ""),
    };
  });
}

async function readNetworkInterfaces(root: string): Promise<NetworkInterface[]> {
  const folder = join(root, "/sys/class/net");
  const found: NetworkInterface[] = [];
  for (const name of (await listFolder(folder)).sort()) {
    if (!(await isLink(join(folder, name, "device")))) continue;
    const at = (path: string): Promise<string> => readText(join(folder, name, path));
    const speed = Number(await at("speed"));
    found.push({
      name,
      mac: (await at("address")).toLowerCase(),
      driver: basename(await readlink(join(folder, name, "device/driver")).catch(() => "")),
      speedMbps: Number.isInteger(speed) && speed > 0 ? speed : 0,
      link: (await at("carrier")) === "1",
    });
  }
  return found;
}

/** A file's text; "" when it is not there or refuses (the speed of an adapter without link). */
const readText = (path: string): Promise<string> =>
  readFile(path, "utf8").then(
    (text) => text.trim(),
    () => "",
  );

const listFolder = (path: string): Promise<string[]> => readdir(path).catch(() => []);

const isLink = (path: string): Promise<boolean> =>
  readlink(path).then(
    () => true,
    () => false,
  );

const systemInformation: SystemInformation = {
  async memoryBytes() {
    const { mem } = await import("systeminformation");
    return (await mem()).total;
  },
  async processors() {
    const { cpu } = await import("systeminformation");
    const told = await cpu();
    const vendor = told.vendor || told.manufacturer;
    return { vendor, model: told.brand, sockets: told.processors, cores: told.physicalCores, threads: told.cores };
  },
  async disks() {
    const { diskLayout } = await import("systeminformation");
    const told = await diskLayout();
    return told.map(({ device, name, serialNum }) => ({
      name: device.replace(/^\/dev\//, ""),
      model: name,
      serial: serialNum,
    }));
  },
};
