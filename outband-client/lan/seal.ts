import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";
import { Reader } from "../../ipmi/codec.ts";
import type { CipherSuite } from "./cipher-suite.ts";
import { decodePacket, encodeBody20, type PayloadType } from "./packet.ts";
import { decodeRmcp, encodeRmcp } from "./rmcp.ts";
import { type SessionKeys, sameCode } from "./session-keys.ts";

/**
 * Integrity and confidentiality of a session's packets, the same in both directions.
 * IPMI 2.0 §13.28.4 (HMAC-SHA1-96, HMAC-SHA256-128), §13.29 (AES-CBC-128), table 13-8 (trailer).
 */

/** What a sealed packet carries. */
export interface Sealed {
  readonly payloadType: PayloadType;
  readonly sessionId: number;
  readonly sequence: number;
  /** In the clear. */
  readonly payload: Uint8Array;
}

const blockBytes = 16;
/** "Next Header", always 07h. */
const nextHeader = 0x07;

/** The confidentiality trailer: 01h, 02h, ... and the count of them, to a whole block. */
function confidentialityTrailer(payloadBytes: number): Uint8Array {
  const padding = (blockBytes - ((payloadBytes + 1) % blockBytes)) % blockBytes;
  return Uint8Array.from({ length: padding + 1 }, (_, i) => (i < padding ? i + 1 : padding));
}

export class Seal {
  readonly #suite: CipherSuite;
  readonly #keys: SessionKeys;

  constructor(suite: CipherSuite, keys: SessionKeys) {
    this.#suite = suite;
    this.#keys = keys;
  }

  /** Encrypts and authenticates; the whole datagram. */
  close(packet: Sealed): Uint8Array {
    const initializationVector = randomBytes(blockBytes);
    const cipher = createCipheriv("aes-128-cbc", this.#keys.confidentiality, initializationVector);
    cipher.setAutoPadding(false);
    const payload = Buffer.concat([
      initializationVector,
      cipher.update(packet.payload),
      cipher.update(confidentialityTrailer(packet.payload.length)),
      cipher.final(),
    ]);
    const body = encodeBody20({ ...packet, payload, encrypted: true, authenticated: true });
    // From the authentication type to the next header, the bytes are a multiple of 4.
    const padding = (4 - ((body.length + 2) % 4)) % 4;
    const signed = Uint8Array.of(...body, ...new Uint8Array(padding).fill(0xff), padding, nextHeader);
    return encodeRmcp({ class: "ipmi", body: Uint8Array.of(...signed, ...this.#code(signed)) });
  }

  /**
   * Checks the authentication code, then decrypts.
   * @throws DecodeError for anything that is not both authenticated and encrypted with this session's keys
   */
  open(datagram: Uint8Array): Sealed {
    const packet = decodePacket(datagram);
    const from = new Reader("RMCP+ packet of a session", datagram);
    if (packet.format !== "2.0") return from.fail("it has an IPMI v1.5 header");
    if (!packet.authenticated || !packet.encrypted) return from.fail("it is not both authenticated and encrypted");
    const { body } = decodeRmcp(datagram);
    const end = body.length - this.#suite.integrityBytes;
    // Header, payload, pad length and next header stand before the code.
    if (end < 12 + packet.payload.length + 2) return from.fail("no room for the authentication code");
    const signed = body.subarray(0, end);
    if (!sameCode(this.#code(signed), body.subarray(end))) return from.fail("wrong authentication code");
    const { payloadType, sessionId, sequence } = packet;
    return { payloadType, sessionId, sequence, payload: this.#decrypt(packet.payload) };
  }

  #code(signed: Uint8Array): Buffer {
    const digest = createHmac(this.#suite.hash, this.#keys.integrity).update(signed).digest();
    return digest.subarray(0, this.#suite.integrityBytes);
  }

  #decrypt(payload: Uint8Array): Uint8Array {
    const from = new Reader("AES-CBC-128 payload", payload);
    if (payload.length < 2 * blockBytes || payload.length % blockBytes !== 0) {
      return from.fail(`${payload.length} bytes are not two or more blocks of 16`);
    }
    const decipher = createDecipheriv("aes-128-cbc", this.#keys.confidentiality, payload.subarray(0, blockBytes));
    decipher.setAutoPadding(false);
    const clear = Buffer.concat([decipher.update(payload.subarray(blockBytes)), decipher.final()]);
    // What the padding consists of is not looked at: the authentication code has already vouched for it.
    const padding = clear[clear.length - 1] ?? 0;
    if (padding >= clear.length) return from.fail(`pad length ${padding} is more than there is`);
    return Uint8Array.from(clear.subarray(0, clear.length - 1 - padding));
  }
}
