import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import type { CipherSuite } from "./cipher-suite.ts";

/**
 * What RAKP computes: authentication codes and session keys. IPMI 2.0 §13.28, §13.31, §13.32.
 * Keys are KeyObjects, whose bytes neither console nor util.inspect shows.
 */

/** All that both sides know after RAKP 2, in the bytes in which they were sent. */
export interface Negotiation {
  readonly suite: CipherSuite;
  /** SIDm: session id chosen by the remote console. */
  readonly consoleSessionId: number;
  /** SIDc: session id chosen by the BMC. */
  readonly bmcSessionId: number;
  /** Rm, 16 bytes. */
  readonly consoleRandom: Uint8Array;
  /** Rc, 16 bytes. */
  readonly bmcRandom: Uint8Array;
  /** GUIDc, 16 bytes. */
  readonly bmcGuid: Uint8Array;
  /** Role_m: the whole byte of RAKP 1, look-up bit included. */
  readonly role: number;
  /** UName_m, 0-16 bytes. */
  readonly user: Uint8Array;
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

function hmac(suite: CipherSuite, key: KeyObject, parts: readonly Uint8Array[]): Buffer {
  const digest = createHmac(suite.hash, key);
  for (const part of parts) digest.update(part);
  return digest.digest();
}

function roleAndUser(n: Negotiation): Uint8Array {
  return Uint8Array.of(n.role, n.user.length, ...n.user);
}

/** Key exchange authentication code of RAKP 2: the BMC knows K_UID. IPMI 2.0 §13.31. */
export function rakp2Code(n: Negotiation, userKey: KeyObject): Buffer {
  return hmac(n.suite, userKey, [
    uint32(n.consoleSessionId),
    uint32(n.bmcSessionId),
    n.consoleRandom,
    n.bmcRandom,
    n.bmcGuid,
    roleAndUser(n),
  ]);
}

/** Key exchange authentication code of RAKP 3: the remote console knows K_UID. IPMI 2.0 §13.31. */
export function rakp3Code(n: Negotiation, userKey: KeyObject): Buffer {
  return hmac(n.suite, userKey, [n.bmcRandom, uint32(n.consoleSessionId), roleAndUser(n)]);
}

/** Integrity check value of RAKP 4: the BMC has the same session integrity key. IPMI 2.0 §13.31, §13.28.4. */
export function rakp4Code(n: Negotiation, sessionIntegrityKey: KeyObject): Buffer {
  return hmac(n.suite, sessionIntegrityKey, [n.consoleRandom, uint32(n.bmcSessionId), n.bmcGuid]).subarray(
    0,
    n.suite.integrityBytes,
  );
}

export interface SessionKeys {
  /** SIK, key of RAKP 4's integrity check value. */
  readonly sessionIntegrityKey: KeyObject;
  /** K1, key of every packet's authentication code. */
  readonly integrity: KeyObject;
  /** The first 16 bytes of K2, key of AES-CBC-128. */
  readonly confidentiality: KeyObject;
}

/**
 * SIK, K1 and K2. IPMI 2.0 §13.31, §13.32.
 * @param channelKey K_G, or K_UID where the BMC has no K_G
 */
export function sessionKeys(n: Negotiation, channelKey: KeyObject): SessionKeys {
  const sessionIntegrityKey = createSecretKey(
    hmac(n.suite, channelKey, [n.consoleRandom, n.bmcRandom, roleAndUser(n)]),
  );
  // The constants are 20 bytes long for SHA-256 too, as all known BMCs and clients have it.
  const additional = (constant: number) => hmac(n.suite, sessionIntegrityKey, [new Uint8Array(20).fill(constant)]);
  return {
    sessionIntegrityKey,
    integrity: createSecretKey(additional(1)),
    confidentiality: createSecretKey(additional(2).subarray(0, 16)),
  };
}

/** Compares in a time that does not depend on where they differ. */
export function sameCode(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
