import "reflect-metadata";

import { createHash, createPrivateKey, KeyObject, randomBytes, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type { CertificateAndKey, Validity } from "./certificate-authority.ts";

/** What is wrong with a certificate signing request. */
export class CertificateRequestError extends Error {
  override readonly name = "CertificateRequestError";
  readonly code = "certificate-request";
}

/** A request whose signature was verified: whoever sent it has the key. */
export interface CertificateRequest {
  readonly publicKey: x509.PublicKey;
  /** SHA-256 of the public key (SubjectPublicKeyInfo). */
  readonly keyHash: Buffer;
}

/** Signs the certificates with which machines go through one enrolment. What it signs is an agent's, whatever it says. */
export interface AgentsAuthority {
  /** @returns DER */
  issue(request: CertificateRequest, machineUuid: string, validity: Validity): Promise<Buffer>;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
/** Tells it apart from the authority of the site: the service knows by the issuer's name who signed. */
export const agentsAuthorityName = "metal-rivet agents CA";

/**
 * Makes the authority that bmc-service itself signs with. It is not signed by the authority of the site: only bmc-service trusts
 * it, and for agents only.
 */
export async function createAgentsAuthority(validity: Validity): Promise<CertificateAndKey> {
  x509.cryptoProvider.set(webcrypto as Crypto);
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [agentsAuthorityName] }],
    keys,
    ...validity,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const key = KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" });
  return { certificate: `${root.toString("pem")}\n`, key: key.toString() };
}

/** @param pem as `createAgentsAuthority` makes it; both parts were held against each other before */
export async function openAgentsAuthority(pem: {
  readonly certificate: Buffer;
  readonly key: Buffer;
}): Promise<AgentsAuthority> {
  x509.cryptoProvider.set(webcrypto as Crypto);
  const root = new x509.X509Certificate(pem.certificate.toString("latin1"));
  const pkcs8 = createPrivateKey(pem.key).export({ type: "pkcs8", format: "der" });
  const signingKey = await webcrypto.subtle.importKey("pkcs8", pkcs8, algorithm, false, ["sign"]);
  pkcs8.fill(0);
  // The same in each certificate, and a quarter of the work.
  const extensions = [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
    await x509.AuthorityKeyIdentifierExtension.create(root.publicKey),
  ];
  return {
    async issue({ publicKey }, machineUuid, validity) {
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: serialNumber(),
        subject: [{ CN: [machineUuid] }, { OU: ["agent"] }],
        issuer: root.subjectName,
        publicKey,
        signingKey,
        signingAlgorithm: algorithm,
        ...validity,
        extensions,
      });
      return Buffer.from(certificate.rawData);
    },
  };
}

/**
 * Reads a PKCS #10 request (DER) for a P-256 key, and verifies that it was signed with that key. RFC 2986.
 * @throws CertificateRequestError also if it is for another machine
 */
export async function readCertificateRequest(der: Uint8Array, machineUuid: string): Promise<CertificateRequest> {
  x509.cryptoProvider.set(webcrypto as Crypto);
  const { publicKey, name, signed } = await parse(der);
  if (!signed) throw new CertificateRequestError("its signature does not hold");
  if (name !== machineUuid)
    throw new CertificateRequestError(`its common name is not the machine's UUID ${machineUuid}`);
  const keyHash = createHash("sha256").update(Buffer.from(publicKey.rawData)).digest();
  return { publicKey, keyHash };
}

/** The library throws whatever it comes upon; all of it means that the bytes are no such request. */
async function parse(der: Uint8Array) {
  try {
    const request = new x509.Pkcs10CertificateRequest(Buffer.from(der));
    const { publicKey, subjectName } = request;
    const { name, namedCurve } = publicKey.algorithm as { readonly name: string; readonly namedCurve?: string };
    if (name !== "ECDSA" || namedCurve !== algorithm.namedCurve) {
      throw new CertificateRequestError("its key is no EC key on the curve P-256");
    }
    return { publicKey, name: subjectName.getField("CN")[0], signed: await request.verify() };
  } catch (error) {
    if (error instanceof CertificateRequestError) throw error;
    throw new CertificateRequestError("it is no PKCS #10 request in DER", { cause: error });
  }
}

/** 127 random bits, positive. RFC 5280 §4.1.2.2. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString("hex");
}
