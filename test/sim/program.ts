import { CommanderError } from "commander";
import { ExitCode } from "../../proto/exit-code.ts";
import type { Profile } from "../simulator/profile.ts";
import { everyProfile } from "../simulator/variants.ts";
import { parseSimOptions, type SimOptions } from "./sim-options.ts";
import { FaultFileError, PortTakenError, type SimEvent, startSim } from "./sim-run.ts";
import { eventText, listJson, listText, readyText } from "./sim-text.ts";

/** What the program touches. */
export interface SimWorld {
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** Resolves with the exit code when the BMC is to end. */
  readonly ended: Promise<number>;
}

/** `npm run sim`. @returns the exit code */
export async function simProgram(args: readonly string[], world: SimWorld): Promise<number> {
  let options: SimOptions;
  try {
    options = parseSimOptions(args, world);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.done : ExitCode.usage;
    throw error;
  }
  if (options.list) {
    world.write((options.output === "json" ? listJson : listText)(everyProfile.values()));
    return ExitCode.done;
  }
  return await simulate(options.profile, options, world);
}

async function simulate(profile: Profile, options: SimOptions, world: SimWorld): Promise<number> {
  const tell = (event: SimEvent) => {
    if (options.output === "json") world.write(`${JSON.stringify(event)}\n`);
    else world.write(event.event === "ready" ? readyText(profile, event) : eventText(event));
  };
  try {
    await using _sim = await startSim(profile, options, tell);
    return await world.ended;
  } catch (error) {
    if (!(error instanceof PortTakenError || error instanceof FaultFileError)) throw error;
    world.writeError(`sim: ${error.message}\n`);
    return error instanceof PortTakenError ? ExitCode.serviceUnavailable : ExitCode.configuration;
  }
}
