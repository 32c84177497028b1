import { X509Certificate } from "node:crypto";
import { ServiceError } from "../outband-client/service/service-error.ts";
import type { BeginRequest, BeginResponse } from "../proto/gen/metalstack/bmc/v1/enrolment_service.ts";
import { type CertificateRequest, makeCertificateRequest } from "./certificate-request.ts";

/** What all further calls are made with, PEM. */
export interface OwnCertificate {
  readonly cert: string;
  readonly key: Buffer;
}

/** What outlives a run that is tried again: with the same key the service takes no second use of the token. */
export interface KeptKey {
  request?: CertificateRequest;
}

/**
 * Begins with an enrolment token. A machine without a certificate makes a key, which stays in its memory, and asks for one.
 * @param token wiped in the end
 * @param send may send the same request several times
 * @throws what `send` throws; ServiceError "protocol" if no certificate came that fits the key
 */
export async function beginWithToken(
  request: BeginRequest,
  token: Buffer,
  needsCertificate: boolean,
  send: (request: BeginRequest) => Promise<BeginResponse>,
  kept: KeptKey = {},
): Promise<{ readonly response: BeginResponse; readonly own: OwnCertificate | undefined }> {
  if (needsCertificate) kept.request ??= makeCertificateRequest(request.machine?.uuid ?? "");
  const asked = needsCertificate ? kept.request : undefined;
  try {
    const certificateRequest = asked?.der ?? request.certificateRequest;
    const response = await send({ ...request, enrolmentToken: token, certificateRequest });
    return { response, own: asked && ownCertificate(asked, response.certificate) };
  } finally {
    token.fill(0);
  }
}

function ownCertificate({ key }: CertificateRequest, der: Uint8Array): OwnCertificate {
  const certificate = certificateOf(der);
  if (certificate?.checkPrivateKey(key) !== true) {
    throw new ServiceError(
      "protocol",
      "Begin: the service sent no certificate for this machine's key: is it of the same version?",
    );
  }
  const pem = key.export({ type: "pkcs8", format: "pem" });
  return { cert: certificate.toString(), key: Buffer.from(pem) };
}

function certificateOf(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}
