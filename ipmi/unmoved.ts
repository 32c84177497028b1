/**
 * Zeros in memory that stays where it is. An engine keeps small arrays in its heap and moves them about, and what was
 * wiped may lie where they were before; only memory of an ArrayBuffer that was made first does not move.
 */
export function unmoved(size: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(size));
}

/** A copy that stays where it is: see `unmoved`. */
export function unmovedCopy(data: Uint8Array): Uint8Array<ArrayBuffer> {
  const copy = unmoved(data.length);
  copy.set(data);
  return copy;
}
