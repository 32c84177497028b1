import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { Secret } from "../../ipmi/secret.ts";

/** Bytes of the key. AES-256. */
export const secretKeySize = 32;

// Layout of a sealed value: form (1 byte), nonce (12), tag (16), ciphertext. NIST SP 800-38D §8.2.2 for random nonces:
// at most 2^32 seals under one key, which no site comes near.
const form = 1;
const nonceSize = 12;
const tagSize = 16;

/** The value was sealed under another key, for another place, or has been changed. */
export class SealBrokenError extends Error {
  override readonly name = "SealBrokenError";
  readonly code = "seal-broken";
}

/** Encrypts secrets for the database: AES-256-GCM, a random nonce for each. */
export class SecretBox {
  readonly #key: Uint8Array;

  /** @param key 32 bytes; anything else is a RangeError */
  constructor(key: Uint8Array) {
    if (key.length !== secretKeySize) throw new RangeError(`the key has ${key.length} bytes, not ${secretKeySize}`);
    this.#key = key.slice();
  }

  /** @param place what the secret belongs to, for example "account:ID"; it opens for the same place only */
  seal(secret: Secret, place: string): Uint8Array {
    const nonce = randomBytes(nonceSize);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce, { authTagLength: tagSize });
    cipher.setAAD(Buffer.from(place));
    const plain = secret.reveal();
    const encrypted = Buffer.concat([cipher.update(plain), cipher.final()]);
    plain.fill(0);
    return Buffer.concat([Uint8Array.of(form), nonce, cipher.getAuthTag(), encrypted]);
  }

  /** @throws SealBrokenError */
  open(sealed: Uint8Array, place: string): Secret {
    const start = 1 + nonceSize + tagSize;
    if (sealed.length < start || sealed[0] !== form) throw new SealBrokenError(`${place}: it is no sealed secret`);
    const nonce = sealed.subarray(1, 1 + nonceSize);
    const decipher = createDecipheriv("aes-256-gcm", this.#key, nonce, { authTagLength: tagSize });
    decipher.setAAD(Buffer.from(place));
    decipher.setAuthTag(sealed.subarray(1 + nonceSize, start));
    try {
      // With GCM all of it comes at once, and `final` only says whether it is genuine.
      const plain = decipher.update(sealed.subarray(start));
      try {
        decipher.final();
        return Secret.fromBytes(plain);
      } finally {
        plain.fill(0);
      }
    } catch (error) {
      throw new SealBrokenError(`${place}: sealed under another key, or changed since`, { cause: error });
    }
  }
}
