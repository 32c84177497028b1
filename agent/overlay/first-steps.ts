import { existsSync, mkdirSync, rmdirSync } from "node:fs";
import { type Begun, sayFirstLine } from "../first-line.ts";
import { keepMemoryPrivate, type LibcError, mount, mountFlags, unmount } from "../init/libc.ts";
import { AsFound } from "./as-found.ts";

/** A guest after its first line. */
export interface BegunGuest extends Begun {
  readonly asFound: AsFound;
}

/** What the guest itself needs; each with a file that is there if somebody mounted it. */
const needed = [
  { source: "proc", target: "/proc", type: "proc", sign: "/proc/self", flags: mountFlags.noSuid | mountFlags.noExec },
  { source: "sysfs", target: "/sys", type: "sysfs", sign: "/sys/class", flags: mountFlags.noSuid | mountFlags.noExec },
  { source: "devtmpfs", target: "/dev", type: "devtmpfs", sign: "/dev/null", flags: mountFlags.noSuid },
] as const;

/** What mounts; a test stands in for it. */
export interface MountWorld {
  /** "" in life. */
  readonly root: string;
  readonly mount: (source: string, target: string, type: string, flags: number) => void;
  readonly unmount: (target: string) => void;
}

const realMountWorld: MountWorld = {
  root: "",
  mount: (source, target, type, flags) => mount(source, target, type, flags, ""),
  unmount(target) {
    try {
      unmount(target);
    } catch (error) {
      // taken out of the tree all the same; it goes when its last user does
      if ((error as LibcError).code !== "EBUSY") throw error;
    }
  },
};

/** Mounts what is missing, and says the first line. */
export async function takeFirstStepsAsGuest(args: readonly string[]): Promise<BegunGuest> {
  keepMemoryPrivate();
  const asFound = new AsFound();
  const problems = mountMissing(asFound);
  const begun = await sayFirstLine(args);
  for (const problem of problems) begun.console.note(problem);
  return { ...begun, asFound };
}

/** Mounts /proc, /sys and /dev where nobody did. Returns what could not be mounted, in words. */
export function mountMissing(asFound: AsFound, world: MountWorld = realMountWorld): string[] {
  const problems: string[] = [];
  for (const { source, target, type, sign, flags } of needed) {
    const folder = world.root + target;
    if (existsSync(world.root + sign)) continue;
    try {
      if (!existsSync(folder)) {
        mkdirSync(folder);
        asFound.later(target, () => rmdirSync(folder));
      }
      world.mount(source, folder, type, flags);
      asFound.later(target, () => world.unmount(folder));
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  return problems;
}
