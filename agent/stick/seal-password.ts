import { createHash } from "node:crypto";
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256, KEM_DHKEM_X25519_HKDF_SHA256 } from "hpke";
import type { SealedPassword } from "../../proto/gen/metalstack/bmc/v1/report.ts";
import { reportKeyBytes, sealAad, sealInfo } from "../../proto/report-seal.ts";

/**
 * Seals a password so that only the service opens it, and only for that machine, BMC and user name; see SealedPassword.
 * @param reportKey as the configuration has it: "x25519:..."
 */
export async function sealPassword(
  reportKey: string,
  bound: Parameters<typeof sealAad>[0],
  password: Uint8Array,
): Promise<SealedPassword> {
  const publicBytes = reportKeyBytes(reportKey);
  const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM);
  const publicKey = await suite.DeserializePublicKey(publicBytes);
  const sealed = await suite.Seal(publicKey, password, { aad: sealAad(bound), info: Buffer.from(sealInfo) });
  return {
    keyId: createHash("sha256").update(publicBytes).digest("hex").slice(0, 16),
    encapsulatedKey: Buffer.from(sealed.encapsulatedSecret),
    ciphertext: Buffer.from(sealed.ciphertext),
  };
}
