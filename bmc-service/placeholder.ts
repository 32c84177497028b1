/** What boards hold where nobody filled in a name or a serial number. */
const placeholder =
  /^(?:to be filled by o\.?e\.?m\.?|o\.?e\.?m\.?|default string|not (?:specified|applicable|available)|system manufacturer|(?:(?:system|base ?board|board|chassis) )?serial (?:number|no\.?)|unknown|none|empty|invalid|n\/a|0?123456789(?:0|abcdef)?|-+|\.+|x+|0+)?$/i;

/** Whether a text of SMBIOS or FRU identifies nothing; so does an empty one. */
export function isPlaceholder(text: string): boolean {
  return placeholder.test(text.trim());
}
