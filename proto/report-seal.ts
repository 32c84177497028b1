/** How passwords of a report are sealed, for who seals and who opens: HPKE (RFC 9180), see SealedPassword. */

/** What an HPKE context is for: the `info` of RFC 9180 §5.1. */
export const sealInfo = "metal-rivet report 1";

/** Before the public key's 32 bytes in base64, where a configuration names it. */
const keyPrefix = "x25519:";

/** How a public key looks in a configuration. */
export const reportKeyPattern = /^x25519:[A-Za-z0-9+/]{43}=$/;

/** @param publicKey 32 bytes. RFC 7748 */
export const reportKeyText = (publicKey: Uint8Array): string =>
  `${keyPrefix}${Buffer.from(publicKey).toString("base64")}`;

/** The public key's 32 bytes. @param text of that pattern */
export const reportKeyBytes = (text: string): Buffer => Buffer.from(text.slice(keyPrefix.length), "base64");

/** What the ciphertext is bound to: it opens for no other machine, BMC or account. */
export function sealAad(of: { readonly machineUuid: string; readonly mac: string; readonly userName: string }): Buffer {
  return Buffer.from([of.machineUuid, of.mac, of.userName].join("\n"));
}
