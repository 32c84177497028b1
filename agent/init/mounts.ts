import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { type LibcError, mount, mountFlags } from "./libc.ts";

/** What an init mounts before anything else, in this order. */
const mounts = [
  { source: "proc", target: "/proc", type: "proc", flags: "nx", data: "" },
  { source: "sysfs", target: "/sys", type: "sysfs", flags: "nx", data: "" },
  { source: "devtmpfs", target: "/dev", type: "devtmpfs", flags: "n", data: "mode=0755" },
  { source: "devpts", target: "/dev/pts", type: "devpts", flags: "nx", data: "mode=0620,ptmxmode=0666" },
  { source: "tmpfs", target: "/run", type: "tmpfs", flags: "nd", data: "mode=0755" },
  { source: "tmpfs", target: "/tmp", type: "tmpfs", flags: "nd", data: "mode=1777" },
] as const;

const flagBits = (flags: string): number =>
  (flags.includes("n") ? mountFlags.noSuid : 0) |
  (flags.includes("d") ? mountFlags.noDev : 0) |
  (flags.includes("x") ? mountFlags.noExec : 0);

/**
 * Mounts the kernel's file systems. Returns what could not be mounted, in words: an init goes on without a /tmp.
 * What somebody mounted before stays (EBUSY).
 */
export function mountKernelFileSystems(): string[] {
  const problems: string[] = [];
  for (const { source, target, type, flags, data } of mounts) {
    try {
      mkdirSync(target, { recursive: true });
      mount(source, target, type, flagBits(flags), data);
    } catch (error) {
      if ((error as LibcError).code !== "EBUSY") problems.push((error as Error).message);
    }
  }
  for (const [path, target] of [
    ["/dev/fd", "/proc/self/fd"],
    ["/dev/stdin", "/proc/self/fd/0"],
    ["/dev/stdout", "/proc/self/fd/1"],
    ["/dev/stderr", "/proc/self/fd/2"],
  ] as const) {
    if (!existsSync(path)) symlinkSync(target, path);
  }
  return problems;
}

/** The running kernel's release, "6.1.0-31-amd64". */
export const kernelRelease = (): string => readFileSync("/proc/sys/kernel/osrelease", "latin1").trim();
