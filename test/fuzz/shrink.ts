/** Longest time for it, in milliseconds: a person waits. */
const limitMs = 2_000;

/**
 * Leaves out what is not needed for a fault: first halves, then smaller and smaller pieces.
 * @param stillFails whether a smaller input shows the same fault
 */
export async function shrink(
  input: Uint8Array,
  stillFails: (smaller: Uint8Array) => Promise<boolean>,
): Promise<Uint8Array> {
  const until = performance.now() + limitMs;
  let smallest = input;
  for (let size = Math.ceil(input.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < smallest.length; ) {
      if (performance.now() > until) return smallest;
      const smaller = Uint8Array.of(...smallest.subarray(0, at), ...smallest.subarray(at + size));
      if (await stillFails(smaller)) smallest = smaller;
      else at += size;
    }
  }
  return smallest;
}
