import { type DestinationStream, type Logger, pino } from "pino";
import { systemReason } from "./config-error.ts";

export const logLevels = ["fatal", "error", "warn", "info", "debug", "silent"] as const;

export type LogLevel = (typeof logLevels)[number];

/**
 * JSON lines on standard output. Nothing of a request is ever logged as a whole; the names below are cut out
 * besides, in case an error carries one.
 */
export function newLog(level: LogLevel, destination: DestinationStream = standardOutput()): Logger {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      paths: ["password", "sessionToken", "session_token", "*.password", "*.sessionToken", "err.request"],
      censor: "[secret]",
    },
  };
  return pino(options, destination);
}

/** Lines that wait for a disk to have room again, characters; what comes after them is lost. */
const mostWaiting = 1_048_576;

/** Machines wait for the service, not for its log: a full disk under the log must not end it. */
function standardOutput(): DestinationStream {
  const stream = pino.destination({ dest: 1, sync: false, maxLength: mostWaiting });
  let told = false;
  let failing = false;
  stream.on("write", () => {
    failing = false;
  });
  stream.on("error", (error: NodeJS.ErrnoException) => {
    failing = true;
    if (told || error.code === "EPIPE") return;
    told = true;
    // What cannot be written at the end would be tried again for ever.
    process.on("beforeExit", () => {
      if (failing) stream.destroy();
    });
    process.stderr.write(`bmc-service: log lines are lost: ${systemReason(error)}; the service goes on\n`);
  });
  return stream;
}
