import { accessSync, constants } from "node:fs";
import type { Afterwards } from "../config/settings.ts";
import type { Console, RunEnd } from "../console.ts";
import { letKernelSpeak } from "./kernel-messages.ts";
import { endMachine, execute } from "./libc.ts";

/** A reboot after a failure waits, so that people can read why and a machine does not loop in the dark. */
export const rebootAfterFailureMs = 60_000;

/** What the end of a run does to the machine; a test stands in for it. */
export interface AfterRunWorld {
  endMachine(action: "poweroff" | "reboot" | "halt"): void;
  execute(path: string, environment: Readonly<Record<string, string>>): void;
  sleep(ms: number): Promise<void>;
  /** Called right before the machine ends, or another program takes it. */
  leave?(): Promise<void>;
}

export const realAfterRunWorld: AfterRunWorld = {
  endMachine,
  execute(path, environment) {
    accessSync(path, constants.X_OK);
    letKernelSpeak();
    execute(path, environment);
  },
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/**
 * Does what the key `then` asks for. Returns when that is to wait, or when it could not be done: the caller stays as init.
 * The program of `exec:` finds how the run ended in RIVET_OUTCOME and RIVET_EXIT_CODE.
 */
export async function afterRun(
  afterwards: Afterwards,
  ended: RunEnd,
  console: Console,
  world: AfterRunWorld = realAfterRunWorld,
): Promise<void> {
  try {
    switch (afterwards.action) {
      case "wait":
        return;
      case "exec":
        console.note(`starting ${afterwards.path}`);
        await world.leave?.();
        world.execute(afterwards.path, {
          ...(process.env as Record<string, string>),
          RIVET_OUTCOME: ended.outcome,
          RIVET_EXIT_CODE: String(ended.exitCode),
        });
        return;
      case "reboot":
        if (ended.exitCode !== 0) {
          console.note(`the run failed: rebooting in ${rebootAfterFailureMs / 1000} s`);
          await world.sleep(rebootAfterFailureMs);
        }
        console.note("rebooting");
        await world.leave?.();
        world.endMachine("reboot");
        return;
      case "poweroff":
      case "halt":
        console.note(afterwards.action === "halt" ? "halting" : "powering off");
        await world.leave?.();
        world.endMachine(afterwards.action);
        return;
      default:
        return afterwards satisfies never;
    }
  } catch (error) {
    console.problem(`${afterwards.action}: ${error instanceof Error ? error.message : String(error)}; waiting instead`);
  }
}
