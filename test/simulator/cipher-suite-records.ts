/** Authentication, integrity and confidentiality of the standard suites. IPMI 2.0 §22.15.2, table 22-20. */
const algorithms: Readonly<Record<number, readonly [number, number, number]>> = {
  0: [0, 0, 0],
  1: [1, 0, 0],
  2: [1, 1, 0],
  3: [1, 1, 1],
  6: [2, 0, 0],
  7: [2, 2, 0],
  8: [2, 2, 1],
  11: [2, 3, 0],
  12: [2, 3, 1],
  15: [3, 0, 0],
  16: [3, 4, 0],
  17: [3, 4, 1],
};

/**
 * The list of records that Get Channel Cipher Suites gives in pieces. IPMI 2.0 §22.15.1, table 22-18.
 * @throws RangeError for a suite that is not standard
 */
export function cipherSuiteRecords(suites: readonly number[]): Uint8Array {
  return Uint8Array.from(
    suites.flatMap((id) => {
      const suite = algorithms[id];
      if (suite === undefined) throw new RangeError(`cipher suite ${id} is unknown`);
      const [authentication, integrity, confidentiality] = suite;
      return [0xc0, id, authentication, 0x40 | integrity, 0x80 | confidentiality];
    }),
  );
}
