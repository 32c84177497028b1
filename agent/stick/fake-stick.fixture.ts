import type { MountedStick, StickMedium } from "./medium.ts";
import { StickError, type StickProblem, stickError } from "./stick-error.ts";

/** A stick in memory: what was written is on it at once, also half of it, and each instant between can be looked at. */
export class FakeStick implements StickMedium {
  /** What lies on the medium, by path. */
  readonly files = new Map<string, Buffer>();
  readonly folders = new Set<string>([""]);
  /** It cannot even be mounted. */
  problem: StickProblem | undefined;
  /** Its write protection is on. */
  isProtected = false;
  /** Bytes that all files together may have. */
  room = Number.POSITIVE_INFINITY;
  /** It takes what is written, and forgets it when it is unmounted. */
  forgets = false;
  /** Called at every instant at which power may fail or the stick be pulled; may throw. */
  hook: (instant: string) => void = () => undefined;
  /** "mount read", "write reports/x.new", ... */
  readonly steps: string[] = [];
  isMounted = false;
  probedAgain = 0;

  probeAgain(): void {
    this.probedAgain += 1;
  }

  async mount(access: "read" | "write"): Promise<MountedStick> {
    this.#step(`mount ${access}`);
    if (this.isMounted) throw new Error("the stick is mounted twice");
    this.isMounted = true;
    const before = new Map(this.files);
    const write = async (what: string, work: () => void) => {
      if (!this.isMounted) throw new Error("the stick is not mounted");
      if (access === "read") throw stickError(what, { code: "EROFS" });
      if (this.isProtected) throw stickError(what, { code: "EACCES" });
      this.#step(what);
      work();
      this.hook(`after ${what}`);
    };
    return {
      read: async (path) => {
        this.#step(`read ${path}`);
        return this.files.get(path);
      },
      makeFolder: (path) => write(`make ${path}`, () => void this.folders.add(path)),
      write: (path, content) =>
        write(`write ${path}`, () => {
          if (!this.folders.has(path.split("/").slice(0, -1).join("/"))) throw stickError(path, { code: "ENOTDIR" });
          const others = [...this.files]
            .filter(([name]) => name !== path)
            .reduce((sum, [, { length }]) => sum + length, 0);
          this.files.set(path, Buffer.from(content.subarray(0, content.length / 2)));
          this.hook(`half of ${path}`);
          if (others + content.length > this.room) throw stickError(`writing ${path}`, { code: "ENOSPC" });
          this.files.set(path, Buffer.from(content));
        }),
      rename: (from, to) =>
        write(`rename ${to}`, () => {
          // FAT gives the file its new name before it takes the old one away.
          this.files.set(to, this.files.get(from) ?? Buffer.alloc(0));
          this.hook(`both names of ${to}`);
          this.files.delete(from);
        }),
      remove: (path) => write(`remove ${path}`, () => void this.files.delete(path)),
      syncFolder: (path) => write(`sync ${path}`, () => undefined),
      unmount: async () => {
        this.isMounted = false;
        this.#step("unmount");
        if (!this.forgets) return;
        this.files.clear();
        for (const [path, content] of before) this.files.set(path, content);
      },
    };
  }

  #step(what: string): void {
    this.steps.push(what);
    this.hook(what);
    if (this.problem !== undefined) throw new StickError(this.problem, `stick: ${what}: ${this.problem}`);
  }
}
