/** What makers leave in fields that nobody filled in: seen on many boards, compared without regard to case. */
const placeholders: ReadonlySet<string> = new Set([
  "to be filled by o.e.m.",
  "to be filled by o.e.m",
  "default string",
  "system serial number",
  "not specified",
  "none",
  "0123456789",
]);

/** Whether a text is one of those that stand for nothing. Dots alone, of any number, are another one of them. */
export function isPlaceholder(text: string): boolean {
  const trimmed = text.trim();
  return placeholders.has(trimmed.toLowerCase()) || /^\.+$/.test(trimmed);
}
