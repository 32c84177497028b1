import { ConfigError, fileProblem } from "./config/config-error.ts";
import type { KeyName } from "./config/keys.ts";
import { readLocalSources, readSettings } from "./configure.ts";
import { openConsole } from "./console.ts";
import type { Begun } from "./first-line.ts";
import { keepMemoryPrivate } from "./init/libc.ts";

/**
 * `metal-rivet run` as an ordinary program, for a ramdisk that has an init of its own. Returns the exit code.
 * @param cmdlineFile where `begun` has read the kernel command line
 */
export async function runOnce(
  flags: ReadonlyMap<KeyName, string>,
  cmdlineFile: string,
  { console, format, cmdline, cmdlineError }: Begun,
): Promise<number> {
  const startedAt = performance.now();
  keepMemoryPrivate();
  const { failedEnd, performRun } = await import("./perform-run.ts");
  try {
    if (cmdlineError !== undefined) {
      throw new ConfigError(`file ${cmdlineFile}`, "--cmdline", `cannot be read: ${fileProblem(cmdlineError)}`);
    }
    const from = readLocalSources(flags, cmdline);
    for (const remark of from.remarks) console.note(remark);
    const settings = await readSettings(from, console);
    const wanted = settings.log === format ? console : await openConsole(settings.log);
    if (settings.afterwards.action !== "wait") {
      wanted.note("`then` is left to the init that started this program; the exit code tells it how the run ended");
    }
    const { realWorld } = await import("./real-world.ts");
    return (await performRun(settings, wanted, realWorld(settings, wanted))).exitCode;
  } catch (error) {
    const ended = failedEnd(error, startedAt);
    console.end(ended);
    return ended.exitCode;
  }
}
