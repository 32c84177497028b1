import { type DestinationStream, type Logger, pino } from "pino";

export const logLevels = ["fatal", "error", "warn", "info", "debug", "silent"] as const;

export type LogLevel = (typeof logLevels)[number];

/**
 * JSON lines on standard output. Nothing of a request is ever logged as a whole; the names below are cut out
 * besides, in case an error carries one.
 */
export function newLog(level: LogLevel, destination?: DestinationStream): Logger {
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
  return destination === undefined ? pino(options) : pino(options, destination);
}
