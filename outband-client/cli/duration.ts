import { UsageError } from "./failure.ts";

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/**
 * Reads "90s", "15m", "12h" or "30d" as seconds.
 * @param option the flag, for the error
 * @param most the longest that is allowed, in the same form
 * @throws UsageError
 */
export function parseDuration(option: string, text: string, most: string): number {
  const mostSeconds = secondsOf(most);
  const seconds = secondsOf(text);
  if (seconds > mostSeconds) throw new UsageError(`${option}: at most ${most}`);
  if (seconds > 0) return seconds;
  if (/^0+[smhd]?$/.test(text)) throw new UsageError(`${option}: 0 is not allowed; give a time above 0, as 90s`);
  throw new UsageError(`${option}: give a number with its unit: 90s, 15m, 12h, 30d`);
}

/** 0 if it is none. */
function secondsOf(text: string): number {
  const [, number = "", unit = ""] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  return Number(number) * (unitSeconds[unit] ?? 0);
}
