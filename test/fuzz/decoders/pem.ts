import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import { loadCredentials, type PemOrigin } from "../../../agent/config/certificates.ts";
import { ConfigError } from "../../../agent/config/config-error.ts";
import type { FuzzedDecoder } from "../fuzzed-decoder.ts";
import { fromHex } from "./corpus.ts";

/** One element of DER (ITU-T X.690 §8.1). */
function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const body = Buffer.concat(parts);
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Uint8Array.of(tag, ...length, ...body);
}

function pem(label: string, data: Uint8Array): string {
  const lines =
    Buffer.from(data)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/** A key that everybody knows, and the certificate that it signs: Ed25519 (RFC 8410) makes the same bytes each time. */
function knownPair(): { cert: string; key: string } {
  const keyData = Uint8Array.of(...fromHex("302e020100300506032b657004220420"), ...new Uint8Array(32).fill(1));
  const privateKey = createPrivateKey({ key: Buffer.from(keyData), format: "der", type: "pkcs8" });
  const publicData = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  const ed25519 = fromHex("300506032b6570");
  const name = der(0x30, der(0x31, der(0x30, fromHex("0603550403"), der(0x0c, Buffer.from("fuzz")))));
  const dates = der(0x30, der(0x17, Buffer.from("200101000000Z")), der(0x17, Buffer.from("491231000000Z")));
  const toBeSigned = der(0x30, fromHex("020101"), ed25519, name, dates, name, publicData);
  const signature = sign(null, toBeSigned, privateKey);
  const cert = der(0x30, toBeSigned, ed25519, der(0x03, Uint8Array.of(0), signature));
  return { cert: pem("CERTIFICATE", cert), key: pem("PRIVATE KEY", keyData) };
}

const { cert, key } = knownPair();
const text = (each: string): Uint8Array => Uint8Array.from(Buffer.from(each, "latin1"));

/** The input is one of the three texts of a document; the other two are good. */
function credentialsWith(which: "ca" | "cert" | "key"): FuzzedDecoder {
  const origin = (option: "ca" | "cert" | "key", value: string): PemOrigin => ({
    source: "document x",
    option,
    value,
    inline: true,
  });
  return {
    name: `PEM text (${which})`,
    decode(input) {
      const texts = { ca: cert, cert, key, [which]: Buffer.from(input).toString("latin1") };
      return loadCredentials({
        ca: origin("ca", texts.ca),
        own: { cert: origin("cert", texts.cert), key: origin("key", texts.key) },
      });
    },
    refusals: [ConfigError],
    corpus: () => (which === "key" ? [text(key)] : [text(cert), text(cert + cert), text(`#\n${cert}`)]),
    // All three texts are in the value, whichever of them is the input.
    growth: 1024,
    maxBytes: 1024,
    share: 0.5,
  };
}

export const pemDecoders: readonly FuzzedDecoder[] = [
  credentialsWith("ca"),
  credentialsWith("cert"),
  credentialsWith("key"),
];
