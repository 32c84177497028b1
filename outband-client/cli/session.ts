import type { Command } from "commander";
import type { BmcClient } from "../service/bmc.ts";
import { connect, type GlobalOptions, type OutputFormat, readSettings } from "./settings.ts";
import type { World } from "./world.ts";

/** What a command works with: the service, a place for its output, and the form of it. */
export interface Session extends AsyncDisposable {
  readonly world: World;
  readonly client: BmcClient;
  /** As asked for, or the command's own default. */
  readonly output: OutputFormat;
}

/**
 * Opens the session of one command from its options and the configuration file.
 * @param limitMs longest wait for one answer, unless --timeout names another
 * @throws UsageError, ConfigError
 */
export function openSession(
  world: World,
  command: Command,
  { output = "table", limitMs = 20_000 }: { output?: OutputFormat; limitMs?: number } = {},
): Session {
  const settings = readSettings(command.optsWithGlobals<GlobalOptions>(), world.env);
  const client = connect(settings, limitMs, world.stderr);
  return {
    world,
    client,
    output: settings.output ?? output,
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}
