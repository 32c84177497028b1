/**
 * A user name as it was written: some BMCs fill its 16 bytes with blanks or FFh instead of 00h (IPMI 2.0 §22.28). What
 * consists of nothing else stays as it is.
 */
export function unfilledName(told: string): string {
  return told.replace(/(?<=[^ \xff])[ \xff]+$/, "");
}
