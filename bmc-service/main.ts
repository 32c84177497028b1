#!/usr/bin/env node
import { ExitCode } from "../proto/exit-code.ts";
import { closeMemory } from "./closed-memory.ts";
import { runProgram } from "./program.ts";

/** The first signal ends the service in peace; a second one ends the process at once, as if we were not there. */
function toldToStop(): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<void>();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  return promise;
}

// Whoever reads our output may stop reading (`| head`): that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

const open = closeMemory();
if (open !== undefined) {
  process.stderr.write(
    `bmc-service: the memory of this process could not be closed (${open}). A core dump of it would hold keys and passwords: ` +
      "type `ulimit -c 0` before, and let nobody else work on this machine\n",
  );
}

runProgram(process.argv.slice(2), {
  environment: process.env,
  stop: toldToStop,
  write: (text) => process.stdout.write(text),
  error: (text) => process.stderr.write(text),
  errorIsTerminal: process.stderr.isTTY === true,
}).then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    process.stderr.write(`bmc-service: a bug: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exitCode = ExitCode.bug;
  },
);
