import { existsSync, readFileSync } from "node:fs";
import type { LogFormat } from "../config/settings.ts";
import { openConsole } from "../console.ts";
import { type Begun, peekLogFormat } from "../first-line.ts";
import { version } from "../version.ts";
import { keepMemoryPrivate } from "./libc.ts";
import { kernelRelease, mountKernelFileSystems } from "./mounts.ts";

/** What process 1 did before it loaded the rest of itself. */
export interface BegunInit extends Begun {
  /** The running kernel's release. */
  readonly release: string;
}

/** Mounts the kernel's file systems and says the first line: whoever watches the screen wants to know that it got here. */
export async function takeFirstSteps(): Promise<BegunInit> {
  const startedAt = performance.now();
  keepMemoryPrivate();
  const mountProblems = mountKernelFileSystems();
  const cmdline = existsSync("/proc/cmdline") ? readFileSync("/proc/cmdline") : Buffer.alloc(0);
  const format: LogFormat = peekLogFormat(cmdline);
  const console = await openConsole(format);
  const release = existsSync("/proc") ? kernelRelease() : "an unknown kernel";
  console.first(version, release);
  console.task("mount /proc /sys /dev /run /tmp", performance.now() - startedAt, mountProblems.join("; "));
  return { cmdline, format, console, release };
}
