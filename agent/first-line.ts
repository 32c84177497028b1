import { readFileSync } from "node:fs";
import type { LogFormat } from "./config/settings.ts";
import { type Console, openConsole } from "./console.ts";
import { version } from "./version.ts";

/** A console whose first line is out, and its format. */
export interface Begun {
  readonly console: Console;
  readonly format: LogFormat;
}

/**
 * Says which program runs on which kernel, before the arguments are parsed and the configuration is read: whoever watches
 * a machine start wants to know that it got here.
 */
export async function sayFirstLine(args: readonly string[]): Promise<Begun> {
  const format = flagValue(args, "--log") ?? peekLogFormat(readOr(flagValue(args, "--cmdline") ?? "/proc/cmdline"));
  const known = format === "json" ? "json" : "text";
  const console = await openConsole(known);
  console.first(version, readOr("/proc/sys/kernel/osrelease").toString("latin1").trim() || "an unknown kernel");
  return { console, format: known };
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

/** A file's bytes; none where it cannot be read. */
function readOr(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0);
  }
}
