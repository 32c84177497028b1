import type { ReportedAccount, SealedPassword } from "../../proto/gen/metalstack/bmc/v1/report.ts";
import { sealAad, sealInfo } from "../../proto/report-seal.ts";
import type { ReportKey } from "./report-keys.ts";

/** A password of a report does not open. The message says why and what to do. */
export class SealedPasswordError extends Error {
  override readonly name = "SealedPasswordError";
  readonly code = "sealed-password";
}

/**
 * Opens a sealed password; the caller wipes it.
 * @throws SealedPasswordError if the key is another one's, or what is sealed was changed or belongs elsewhere
 */
export async function openPassword(
  machineUuid: string,
  { mac, userName, sealedPassword }: Pick<ReportedAccount, "mac" | "userName" | "sealedPassword">,
  keys: readonly ReportKey[],
): Promise<Buffer> {
  if (sealedPassword === undefined) throw new SealedPasswordError("it has no sealed password");
  const key = keys.find(({ id }) => id === sealedPassword.keyId);
  if (key === undefined) throw new SealedPasswordError(otherKey(sealedPassword, keys));
  const { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256, KEM_DHKEM_X25519_HKDF_SHA256 } = await import("hpke");
  const suite = new CipherSuite(KEM_DHKEM_X25519_HKDF_SHA256, KDF_HKDF_SHA256, AEAD_AES_256_GCM);
  const { d = "" } = key.privateKey.export({ format: "jwk" });
  const secret = Buffer.from(d, "base64url");
  try {
    const options = { aad: sealAad({ machineUuid, mac, userName }), info: Buffer.from(sealInfo) };
    const [privateKey, publicKey] = await Promise.all([
      suite.DeserializePrivateKey(secret),
      suite.DeserializePublicKey(key.publicKey),
    ]);
    const { encapsulatedKey, ciphertext } = sealedPassword;
    const opened = await suite.Open({ privateKey, publicKey }, encapsulatedKey, ciphertext, options);
    return Buffer.from(opened.buffer, opened.byteOffset, opened.byteLength);
  } catch {
    // Whatever it is that the library says: the bytes are not those that were sealed.
    throw new SealedPasswordError("it was changed, or taken from another machine, BMC or account");
  } finally {
    secret.fill(0);
  }
}

function otherKey({ keyId }: SealedPassword, keys: readonly ReportKey[]): string {
  if (!/^[0-9a-f]{16}$/.test(keyId)) return "its key_id is none";
  const own =
    keys.length === 0 ? "this service has no key (bmc-service import-key)" : `this service has ${listed(keys)}`;
  return `it is sealed to key ${keyId}, ${own}: import it at the service that the stick was made for`;
}

const listed = (keys: readonly ReportKey[]): string => keys.map(({ id }) => id).join(", ");
