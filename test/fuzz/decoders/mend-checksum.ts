/** Sets the byte at `at` so that those from `from` to `to` sum up to 0 modulo 256; a fuzzer never finds that by itself. */
export function mendChecksum(data: Uint8Array, at: number, from: number, to: number): void {
  if (at >= data.length) return;
  data[at] = 0;
  let sum = 0;
  for (const each of data.subarray(from, to)) sum += each;
  data[at] = -sum & 0xff;
}
