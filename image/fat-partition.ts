/** A FAT file system that any laptop opens, made by mkfs.vfat and mtools: no root, nothing is mounted. */

import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";

export interface FatPartition {
  readonly bytes: number;
  /** At most eleven capital letters, digits and "-_". */
  readonly label: string;
  /** In sectors from the beginning of the disk. */
  readonly startSector: number;
  /** All dates in it, in seconds since 1970; not before 1980. */
  readonly epochSeconds: number;
  /** By path, without "/" in front; a body of undefined is a folder. */
  readonly files: ReadonlyMap<string, Buffer | undefined>;
}

const toolLimitMs = 60_000;
/** Any fixed number: two builds shall be the same. */
const volumeId = "52495645";

/** The partition's bytes. @throws Error in the tools' words, for example when the files do not fit */
export async function fatPartition(wanted: FatPartition): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), "rivet-fat-"));
  try {
    const image = join(folder, "partition");
    const environment = {
      timeout: toolLimitMs,
      stdin: "ignore",
      env: {
        LC_ALL: "C",
        TZ: "UTC",
        SOURCE_DATE_EPOCH: String(wanted.epochSeconds),
        PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`,
      },
    } as const;
    await writeFile(image, "");
    await truncate(image, wanted.bytes);
    // FAT32 with one sector a cluster: below 32 MB of clusters firmware and Windows would take it for FAT16.
    const form = ["-F", "32", "-s", "1", "-h", String(wanted.startSector), "-n", wanted.label, "-i", volumeId];
    await execa("mkfs.vfat", [...form, "--invariant", image], environment);
    for (const [path, body] of wanted.files) {
      if (body === undefined) {
        await execa("mmd", ["-i", image, `::/${path}`], environment);
        continue;
      }
      const source = join(folder, "files", path);
      await mkdir(dirname(source), { recursive: true });
      await writeFile(source, body);
      await execa("mcopy", ["-i", image, source, `::/${path}`], environment);
    }
    return await readFile(image);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
