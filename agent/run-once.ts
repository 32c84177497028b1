import type { KeyName } from "../proto/agent-keys.ts";
import { ConfigError, fileProblem } from "./config/config-error.ts";
import type { Source } from "./config/settings.ts";
import { type LocalSources, readLocalSources, readSettings, requireAnySource } from "./configure.ts";
import { type Console, openConsole, type RunEnd } from "./console.ts";
import type { Begun } from "./first-line.ts";
import { keepMemoryPrivate } from "./init/libc.ts";
import { endOnSignals, unlessAborted } from "./overlay/early-end.ts";
import { OutcomeRecord } from "./overlay/outcome-record.ts";

/** What a guest (overlay/run-as-guest.ts) does besides the run. */
export interface Guest {
  /** Of the keys, where nobody gives them. */
  readonly defaults: Source;
  /** Ends the run early. */
  readonly ends: AbortController;
  /** Lets `ends` end all that the program does that long after its start, ms, whatever was said before. */
  readonly endAt: (limitMs: number) => void;
  /** Prepares the machine; the document is read after it. */
  readonly prepare: (from: LocalSources, console: Console) => Promise<void>;
}

/**
 * `metal-rivet run` as an ordinary program, for a ramdisk that has an init of its own. Returns the exit code.
 * @param cmdlineFile where `begun` has read the kernel command line
 */
export async function runOnce(
  flags: ReadonlyMap<KeyName, string>,
  cmdlineFile: string,
  { console: first, format, cmdline, cmdlineError }: Begun,
  guest?: Guest,
): Promise<number> {
  const startedAt = performance.now();
  keepMemoryPrivate();
  const ends = guest?.ends ?? new AbortController();
  endOnSignals(process, ends, (exitCode) => process.exit(exitCode));
  const { failedEnd, performRun } = await import("./perform-run.ts");
  const record = new OutcomeRecord(new Date());
  let console = first;

  const work = async (): Promise<RunEnd> => {
    if (cmdlineError !== undefined) {
      throw new ConfigError(`file ${cmdlineFile}`, "--cmdline", `cannot be read: ${fileProblem(cmdlineError)}`);
    }
    const from = readLocalSources(flags, cmdline, guest?.defaults);
    record.begin(from, guest !== undefined, console);
    for (const remark of from.remarks) console.note(remark);
    await requireAnySource(from);
    const configure = async () => {
      guest?.endAt(from.local.limitMs);
      await guest?.prepare(from, console);
      return await readSettings(from, console, ends.signal);
    };
    const settings = await unlessAborted(configure(), ends.signal);
    guest?.endAt(settings.limitMs);
    if (settings.log !== format) console = await openConsole(settings.log);
    if (settings.afterwards.action !== "wait") {
      console.note("`then` is left to the init that started this program; the exit code tells it how the run ended");
    }
    const { realWorld } = await import("./real-world.ts");
    return await performRun(settings, console, realWorld(settings, console), ends.signal);
  };
  const ended = await work().catch((error: unknown) => {
    const failed = failedEnd(ends.signal.aborted ? ends.signal.reason : error, startedAt);
    console.end(failed);
    return failed;
  });
  await record.end(ended, console);
  return ended.exitCode;
}
