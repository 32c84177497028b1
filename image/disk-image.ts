/**
 * The hybrid disk image: master boot record, boot code for machines without UEFI, and one FAT partition with the unified
 * kernel image where UEFI looks for it on removable media. UEFI specification 2.10 §3.5.1.1, §5.2.
 */

import type { BiosBoot } from "./bios-boot.ts";
import { fatPartition } from "./fat-partition.ts";

export interface DiskContents {
  readonly boot: BiosBoot;
  readonly epochSeconds: number;
  /** Of the partition; fat-partition.ts. */
  readonly files: ReadonlyMap<string, Buffer | undefined>;
}

/** By it the agent finds the partition. */
export const stickLabel = "RIVET";
const sectorBytes = 512;
/** A megabyte in front, as partitioning programs leave it. */
const startSector = 2048;
/** Less than 64 MB, and on every stick that is sold. */
export const diskBytes = 60 * 1024 * 1024;
/** What a partition has to have left for reports. */
const roomBytes = 8 * 1024 * 1024;
const fat32WithLba = 0x0c;
const active = 0x80;
const diskSignature = 0x5249_5645;
/** Cylinder, head and sector of what lies beyond their reach: everyone reads sector numbers. */
const beyondChs = Buffer.from([0xfe, 0xff, 0xff]);

/** @throws Error when the files leave too little room, or when the boot code is too large */
export async function diskImage({ boot, epochSeconds, files }: DiskContents): Promise<Buffer> {
  const partitionBytes = diskBytes - startSector * sectorBytes;
  const used = [...files.values()].reduce((sum, body) => sum + (body?.length ?? 0), 0);
  if (used + roomBytes > partitionBytes) {
    const most = Math.floor((partitionBytes - roomBytes) / 1e6);
    throw new Error(`disk image: the files take ${(used / 1e6).toFixed(1)} MB, and there is room for ${most} MB`);
  }
  const front = Buffer.alloc(startSector * sectorBytes);
  if (boot.core.length > front.length - sectorBytes) throw new Error("disk image: the boot code is too large");
  boot.bootCode.copy(front);
  front.writeUInt32LE(diskSignature, 440);
  partitionEntry(partitionBytes / sectorBytes).copy(front, 446);
  front.writeUInt16LE(0xaa55, 510);
  boot.core.copy(front, sectorBytes);
  const partition = await fatPartition({ bytes: partitionBytes, label: stickLabel, startSector, epochSeconds, files });
  return Buffer.concat([front, partition]);
}

function partitionEntry(sectors: number): Buffer {
  const entry = Buffer.alloc(16);
  entry.writeUInt8(active, 0);
  beyondChs.copy(entry, 1);
  entry.writeUInt8(fat32WithLba, 4);
  beyondChs.copy(entry, 5);
  entry.writeUInt32LE(startSector, 8);
  entry.writeUInt32LE(sectors, 12);
  return entry;
}
