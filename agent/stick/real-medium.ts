import { constants, mkdirSync } from "node:fs";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { mount, mountFlags, unmount } from "../init/libc.ts";
import { findPartition } from "./find-partition.ts";
import type { MountedStick, StickMedium } from "./medium.ts";
import { probeSticksAgain } from "./probe-again.ts";
import { stickError } from "./stick-error.ts";

/** Where it is mounted; a folder of a tmpfs. */
const mountPoint = "/run/metal-rivet/stick";

/** Without a character set of its own the kernel looks for the module of its default one. */
const options = "umask=0077,codepage=437,iocharset=ascii,tz=UTC,errors=remount-ro";

/** The stick by the kernel's vfat. */
export const realMedium: StickMedium = {
  async mount(access) {
    const device = await findPartition();
    const { noSuid, noDev, noExec, readOnly, synchronous, synchronousFolders } = mountFlags;
    // Synchronous folders: a file that takes the place of another one has its name before the other one's clusters are free.
    const how = access === "read" ? readOnly : synchronous | synchronousFolders;
    try {
      mkdirSync(mountPoint, { recursive: true });
      mount(device, mountPoint, "vfat", noSuid | noDev | noExec | how, options);
    } catch (error) {
      throw stickError(`mounting ${device}${access === "read" ? "" : " for writing"}`, error);
    }
    return new RealMountedStick();
  },
  probeAgain: () => probeSticksAgain(),
};

class RealMountedStick implements MountedStick {
  async read(path: string): Promise<Buffer | undefined> {
    try {
      return await readFile(join(mountPoint, path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw stickError(`reading ${path}`, error);
    }
  }

  async makeFolder(path: string): Promise<void> {
    await told(`making the folder ${path}`, () => mkdir(join(mountPoint, path), { recursive: true }));
  }

  async write(path: string, content: Uint8Array): Promise<void> {
    await told(`writing ${path}`, async () => {
      await using file = await open(join(mountPoint, path), "w", 0o600);
      await file.writeFile(content);
      await file.sync();
    });
  }

  async rename(from: string, to: string): Promise<void> {
    await told(`writing ${to}`, () => rename(join(mountPoint, from), join(mountPoint, to)));
  }

  async remove(path: string): Promise<void> {
    await told(`removing ${path}`, () => rm(join(mountPoint, path), { force: true }));
  }

  async syncFolder(path: string): Promise<void> {
    await told(`writing the folder ${path}`, async () => {
      await using folder = await open(join(mountPoint, path), constants.O_RDONLY | constants.O_DIRECTORY);
      await folder.sync();
    });
  }

  async unmount(): Promise<void> {
    try {
      unmount(mountPoint);
    } catch (error) {
      throw stickError("unmounting", error);
    }
  }
}

async function told(what: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw stickError(what, error);
  }
}
