/**
 * The cipher suites spoken here. IPMI 2.0 §22.15.2, table 22-20; algorithm numbers from tables 13-17, 13-18, 13-19.
 * Both encrypt with AES-CBC-128 and authenticate every packet; suites without one of the two are not offered.
 */
export interface CipherSuite {
  readonly id: number;
  readonly name: string;
  /** Hash of the RAKP authentication codes and of the session keys. */
  readonly hash: "sha1" | "sha256";
  /** Bytes of a whole HMAC: RAKP 2 and RAKP 3 authentication codes, SIK, K1, K2. */
  readonly hashBytes: number;
  /** Bytes of the truncated HMAC: RAKP 4 and every packet of the session. */
  readonly integrityBytes: number;
  readonly authentication: number;
  readonly integrity: number;
  readonly confidentiality: number;
}

export const suite3 = {
  id: 3,
  name: "RAKP-HMAC-SHA1, HMAC-SHA1-96, AES-CBC-128",
  hash: "sha1",
  hashBytes: 20,
  integrityBytes: 12,
  authentication: 1,
  integrity: 1,
  confidentiality: 1,
} as const satisfies CipherSuite;

export const suite17 = {
  id: 17,
  name: "RAKP-HMAC-SHA256, HMAC-SHA256-128, AES-CBC-128",
  hash: "sha256",
  hashBytes: 32,
  integrityBytes: 16,
  authentication: 3,
  integrity: 4,
  confidentiality: 1,
} as const satisfies CipherSuite;

/** Best first. */
export const cipherSuites = [suite17, suite3] as const;
export type CipherSuiteId = (typeof cipherSuites)[number]["id"];

/** The suite made of these three algorithms, if it is spoken here. */
export function suiteOf(authentication: number, integrity: number, confidentiality: number): CipherSuite | undefined {
  return cipherSuites.find(
    (each) =>
      each.authentication === authentication &&
      each.integrity === integrity &&
      each.confidentiality === confidentiality,
  );
}
