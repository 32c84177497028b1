import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Pids of the zombies whose parent is `parent`. `proc` is /proc. proc(5), /proc/PID/stat. */
export function zombiesOf(parent: number, proc = "/proc"): number[] {
  return readdirSync(proc)
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      let stat: string;
      try {
        stat = readFileSync(join(proc, name, "stat"), "latin1");
      } catch {
        return false; // ended since the folder was read
      }
      // the command in parentheses may hold spaces and parentheses itself
      const [state, parentText] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return state === "Z" && Number(parentText) === parent;
    })
    .map(Number);
}

/**
 * Decides which zombies are nobody's. Node reaps the children that it started, within milliseconds of their end, and would
 * miss the exit code of one that is taken away. So only what was a zombie at the look before is reaped.
 */
export class Reaper {
  #before: ReadonlySet<number> = new Set();
  readonly #zombies: () => number[];
  readonly #reap: (pid: number) => boolean;

  constructor(zombies: () => number[], reap: (pid: number) => boolean) {
    this.#zombies = zombies;
    this.#reap = reap;
  }

  /** One look; call it some seconds after the last one. Returns whether another look is needed. */
  look(): boolean {
    const now = this.#zombies();
    const left = now.filter((pid) => !(this.#before.has(pid) && this.#reap(pid)));
    this.#before = new Set(left);
    return left.length > 0;
  }
}
