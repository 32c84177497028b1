/**
 * The hybrid disk image: master boot record, boot code for machines without UEFI, and one FAT partition with the unified
 * kernel image where UEFI looks for it on removable media. UEFI specification 2.10 §3.5.1.1, §5.2.
 */

import type { BiosBoot } from "./bios-boot.ts";
import { fatPartition } from "./fat-partition.ts";

export interface DiskContents {
  /** Undefined where every machine has UEFI. */
  readonly boot: BiosBoot | undefined;
  readonly epochSeconds: number;
  /** Of the partition; fat-partition.ts. */
  readonly files: ReadonlyMap<string, Buffer | undefined>;
}

/** By it the agent finds the partition. */
export const stickLabel = "RIVET";
const mebibyte = 1024 * 1024;
const sectorBytes = 512;
/** A megabyte in front, as partitioning programs leave it. */
const startSector = 2048;
/** Of the whole disk: less than 64 MB where that is enough. */
const leastBytes = 60 * mebibyte;
const stepBytes = 4 * mebibyte;
/** What a partition has to have left for reports. */
const roomBytes = 8 * mebibyte;
const fat32WithLba = 0x0c;
const active = 0x80;
const diskSignature = 0x5249_5645;
/** Cylinder, head and sector of what lies beyond their reach: everyone reads sector numbers. */
const beyondChs = Buffer.from([0xfe, 0xff, 0xff]);

/** @throws Error when the boot code is too large */
export async function diskImage({ boot, epochSeconds, files }: DiskContents): Promise<Buffer> {
  const front = Buffer.alloc(startSector * sectorBytes);
  const partitionBytes = diskBytesFor(files) - front.length;
  if (boot !== undefined) {
    if (boot.core.length > front.length - sectorBytes) throw new Error("disk image: the boot code is too large");
    boot.bootCode.copy(front);
    boot.core.copy(front, sectorBytes);
  }
  front.writeUInt32LE(diskSignature, 440);
  partitionEntry(partitionBytes / sectorBytes).copy(front, 446);
  front.writeUInt16LE(0xaa55, 510);
  const partition = await fatPartition({ bytes: partitionBytes, label: stickLabel, startSector, epochSeconds, files });
  return Buffer.concat([front, partition]);
}

function diskBytesFor(files: DiskContents["files"]): number {
  const used = [...files.values()].reduce((sum, body) => sum + (body?.length ?? 0), 0);
  // A 64th part more than enough for the two tables of FAT32: 8 of the 512 bytes of each sector.
  const wanted = startSector * sectorBytes + (used + roomBytes) * (1 + 1 / 64);
  return Math.max(leastBytes, Math.ceil(wanted / stepBytes) * stepBytes);
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
