#!/usr/bin/env node
import { ExitCode } from "../proto/exit-code.ts";
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
