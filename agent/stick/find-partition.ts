import { open, readdir } from "node:fs/promises";
import { parseFatLabel } from "./fat-label.ts";
import { StickError } from "./stick-error.ts";

/** The label of the stick's FAT file system. */
export const stickLabel = "RIVET";

/** What the search touches, so that a test can stand in for the kernel. */
export interface BlockDevices {
  /** Names in /sys/class/block: disks and partitions. */
  list(): Promise<readonly string[]>;
  /** The first 512 bytes. */
  firstSector(name: string): Promise<Uint8Array>;
}

export const realBlockDevices: BlockDevices = {
  list: () => readdir("/sys/class/block").catch(() => []),
  async firstSector(name) {
    await using device = await open(`/dev/${name}`, "r");
    const { buffer, bytesRead } = await device.read(Buffer.alloc(512), 0, 512, 0);
    return buffer.subarray(0, bytesRead);
  },
};

/** Those hold no stick. */
const others = /^(loop|ram|zram|dm-|md|nbd|sr|fd)\d/;

/**
 * The device of the stick: the first one with a FAT file system of its label.
 * @returns "/dev/sda1"
 * @throws StickError "absent" saying what was seen
 */
export async function findPartition(devices: BlockDevices = realBlockDevices): Promise<string> {
  const seen: string[] = [];
  const names = (await devices.list()).filter((name) => !others.test(name));
  for (const name of names.toSorted((one, other) => one.localeCompare(other, "en", { numeric: true }))) {
    const label = await labelOf(devices, name);
    if (label === stickLabel) return `/dev/${name}`;
    seen.push(label === undefined ? name : `${name} (FAT "${label}")`);
  }
  const found = seen.length === 0 ? "no disk at all" : `only ${seen.join(", ")}`;
  throw new StickError(
    "absent",
    `stick: no FAT file system with the label ${stickLabel} is there, ${found}; put the stick in`,
  );
}

/** A device that cannot be read, as a card reader without card, is not the stick. */
async function labelOf(devices: BlockDevices, name: string): Promise<string | undefined> {
  try {
    return parseFatLabel(await devices.firstSector(name));
  } catch {
    return undefined;
  }
}
