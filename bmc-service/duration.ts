const unitsMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const form = /^(\d{1,9})(ms|s|m|h|d)$/;

/** Reads "90s", "15m", "12h" or "30d" as milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, number, unit] = form.exec(text) ?? [];
  if (number === undefined || unit === undefined) return undefined;
  return Number(number) * unitsMs[unit as keyof typeof unitsMs];
}
