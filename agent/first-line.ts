import { readFileSync } from "node:fs";
import type { LogFormat } from "./config/settings.ts";
import { type Console, openConsole } from "./console.ts";
import { version } from "./version.ts";

/** A console whose first line is out, its format, and the kernel command line, which may hold secrets and is read once. */
export interface Begun {
  readonly console: Console;
  readonly format: LogFormat;
  /** Empty if it could not be read. */
  readonly cmdline: Uint8Array;
  /** Why it could not be read. */
  readonly cmdlineError?: unknown;
}

/**
 * Says which program runs on which kernel, before the arguments are parsed and the configuration is read: whoever watches
 * a machine start wants to know that it got here.
 */
export async function sayFirstLine(args: readonly string[]): Promise<Begun> {
  const { bytes: cmdline, error: cmdlineError } = read(flagValue(args, "--cmdline") ?? "/proc/cmdline");
  const format = flagValue(args, "--log") ?? peekLogFormat(cmdline);
  const known = format === "json" ? "json" : "text";
  const console = await openConsole(known);
  console.first(version, read("/proc/sys/kernel/osrelease").bytes.toString("latin1").trim() || "an unknown kernel");
  return { console, format: known, cmdline, cmdlineError };
}

/** The value of `--name VALUE` or `--name=VALUE`; the last one counts, as for the parser. */
function flagValue(args: readonly string[], name: string): string | undefined {
  const at = args.findLastIndex((arg) => arg === name || arg.startsWith(`${name}=`));
  if (at < 0) return undefined;
  return args[at] === name ? args[at + 1] : args[at]?.slice(name.length + 1);
}

/** The log format that the kernel command line asks for, whether the rest of it is in order or not. */
export function peekLogFormat(cmdline: Uint8Array): LogFormat {
  const text = Buffer.from(cmdline).toString("latin1");
  return /(^|\s)rivet\.log="?json"?(\s|$)/.test(text) ? "json" : "text";
}

/** A file's bytes; none where it cannot be read, and why. */
function read(path: string): { readonly bytes: Buffer; readonly error?: unknown } {
  try {
    return { bytes: readFileSync(path) };
  } catch (error) {
    return { bytes: Buffer.alloc(0), error };
  }
}
