import { constants } from "node:os";
import { simProgram } from "./program.ts";

const ended = new Promise<number>((resolve) => {
  const end = (signal: "SIGINT" | "SIGTERM" | "SIGHUP") => resolve(128 + constants.signals[signal]);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, end);
  // Who reads it has gone, as with "| head".
  process.stdout.on("error", () => end("SIGHUP"));
});

process.exitCode = await simProgram(process.argv.slice(2), {
  write: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
  ended,
});
