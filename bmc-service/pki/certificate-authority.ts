import "reflect-metadata";

import { KeyObject, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type { CertificateName } from "./certificate-name.ts";

/** Who a certificate is for; stands in the subject's OU, and the service decides by it what a caller may do. */
export type CertificateRole = "server" | "agent" | "boot" | "viewer" | "operator" | "admin";

/** A certificate and its private key, both PEM; the key is PKCS #8. */
export interface CertificateAndKey {
  readonly certificate: string;
  readonly key: string;
}

/** When certificates begin and cease to be valid. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Signs certificates. Its private key exists in memory only. */
export interface CertificateAuthority {
  /** PEM. */
  readonly certificate: string;
  /** @param names for a server: what it is reached as; clients have none */
  issue(role: CertificateRole, commonName: string, names: readonly CertificateName[]): Promise<CertificateAndKey>;
}

// P-256 with SHA-256: TLS 1.3 requires every implementation to know it (RFC 8446 §9.1).
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** Makes a certificate authority of its own for one site. */
export async function createCertificateAuthority(validity: Validity): Promise<CertificateAuthority> {
  x509.cryptoProvider.set(webcrypto as Crypto);
  const keys = await newKeys();
  const name = [{ CN: ["metal-rivet CA"] }];
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name,
    keys,
    ...validity,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return {
    certificate: pem(root),
    async issue(role, commonName, names) {
      const own = await newKeys();
      const usage = role === "server" ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
      const certificate = await x509.X509CertificateGenerator.create({
        subject: [{ CN: [commonName] }, { OU: [role] }],
        issuer: name,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: algorithm,
        ...validity,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([usage]),
          await x509.SubjectKeyIdentifierExtension.create(own.publicKey),
          await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
          ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension([...names])]),
        ],
      });
      const key = KeyObject.from(own.privateKey as webcrypto.CryptoKey).export({ type: "pkcs8", format: "pem" });
      return { certificate: pem(certificate), key: key.toString() };
    },
  };
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
