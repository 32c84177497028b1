import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** A certificate signing request and the key that signed it, which is never written anywhere. */
export interface CertificateRequest {
  /** PKCS #10, DER. */
  readonly der: Buffer;
  readonly key: KeyObject;
}

/**
 * Makes a P-256 key and asks for a certificate for it. RFC 2986 §4.
 * @param commonName UUID of the machine
 */
export function makeCertificateRequest(commonName: string): CertificateRequest {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const attribute = sequence(objectIdentifier(commonNameOid), value(Tag.utf8String, Buffer.from(commonName)));
  const info = sequence(
    value(Tag.integer, Buffer.of(0)),
    sequence(value(Tag.set, attribute)),
    publicKey.export({ type: "spki", format: "der" }),
    value(Tag.noAttributes),
  );
  const signature = sign("sha256", info, privateKey);
  const algorithm = sequence(objectIdentifier(ecdsaWithSha256Oid));
  return { der: sequence(info, algorithm, value(Tag.bitString, Buffer.of(0), signature)), key: privateKey };
}

/** id-at-commonName, 2.5.4.3. RFC 5280 §A.1. */
const commonNameOid = "550403";
/** 1.2.840.10045.4.3.2. RFC 5758 §3.2. */
const ecdsaWithSha256Oid = "2a8648ce3d040302";

/** ITU-T X.690 §8; `noAttributes` is the context's own [0], with nothing in it. */
const Tag = {
  integer: 0x02,
  bitString: 0x03,
  oid: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  noAttributes: 0xa0,
};

const sequence = (...parts: Uint8Array[]): Buffer => value(Tag.sequence, ...parts);
const objectIdentifier = (hex: string): Buffer => value(Tag.oid, Buffer.from(hex, "hex"));

/** One value in DER: tag, length in the fewest bytes (X.690 §10.1), contents. */
function value(tag: number, ...parts: Uint8Array[]): Buffer {
  const contents = Buffer.concat(parts);
  const { length } = contents;
  const lengthBytes = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.of(tag, ...lengthBytes), contents]);
}
