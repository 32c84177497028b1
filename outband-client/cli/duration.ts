import { UsageError } from "./failure.ts";

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/**
 * Reads "90s", "15m", "12h" or "30d" as seconds.
 * @param option the flag, for the error
 * @throws UsageError
 */
export function parseDuration(option: string, text: string): number {
  const [, number = "", unit = ""] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  const seconds = Number(number) * (unitSeconds[unit] ?? 0);
  if (seconds > 0) return seconds;
  throw new UsageError(`${option}: give a number with its unit: 90s, 15m, 12h, 30d`);
}
