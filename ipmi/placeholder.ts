const namesOfFields =
  "serial(?: ?(?:number|no\\.?))?|version|manufacturer?|product name|asset ?tag|sku(?: number)?|family";

/** What makers leave in fields that nobody filled in: seen on many boards, compared without regard to case. */
const placeholders = new RegExp(
  `^(?:${[
    "to be filled by o\\.?e\\.?m\\.?.*",
    "o\\.?e\\.?m\\.?",
    "default(?: string)?",
    "not (?:specified|applicable|available|settable|defined|provided|present)",
    "none|null|unknown|undefined|invalid|empty|n/?a",
    `(?:system |base ?board |board |chassis |product )?(?:${namesOfFields})`,
    "(?:mb-|asset-)?0?123456789(?:0(?:123456789(?:0|ab)?)?|abcdef)?",
    "\\.+|-+",
  ].join("|")})$`,
  "i",
);

/** Whether a text of SMBIOS or FRU is one of those that stand for nothing. An empty one is none of them. */
export function isPlaceholder(text: string): boolean {
  return placeholders.test(text.trim());
}

/**
 * A serial number without blanks around it; empty if it tells no board from others: a placeholder, or one character again
 * and again ("0000000", "XXXX"), which in other fields may well be meant.
 */
export function ownSerial(text: string): string {
  const serial = text.trim();
  return isPlaceholder(serial) || /^(.)\1*$/.test(serial) ? "" : serial;
}
