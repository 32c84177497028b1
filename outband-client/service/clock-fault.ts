import { X509Certificate } from "node:crypto";
import { checkServerIdentity, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import type { ServiceAddress } from "./address.ts";
import type { Credentials } from "./credentials.ts";
import type { ClockFault } from "./service-error.ts";

/**
 * Whether a certificate was refused for nothing but the time. OpenSSL tells the last fault that it found, which hides others, so
 * the name and all signatures are looked at here.
 * @param code OpenSSL's name of the verification error
 */
export function clockFaultOf(
  code: string,
  socket: TLSSocket,
  { host }: Pick<ServiceAddress, "host">,
  { authorities }: Pick<Credentials, "authorities">,
): ClockFault | undefined {
  if (code !== "CERT_HAS_EXPIRED" && code !== "CERT_NOT_YET_VALID") return undefined;
  const peer = socket.getPeerCertificate(true);
  if (checkServerIdentity(host, peer)) return undefined;
  const chain = signedChain(peer, authorities);
  if (chain === undefined) return undefined;
  return {
    kind: code === "CERT_HAS_EXPIRED" ? "expired" : "not yet valid",
    validFrom: new Date(Math.max(...chain.map(({ validFromDate }) => validFromDate.getTime()))),
    validTo: new Date(Math.min(...chain.map(({ validToDate }) => validToDate.getTime()))),
  };
}

/** From the server's certificate up to one of the authorities, if each has signed the one before. RFC 5280 section 6.1. */
function signedChain(
  peer: DetailedPeerCertificate,
  authorities: readonly X509Certificate[],
): X509Certificate[] | undefined {
  const chain: X509Certificate[] = [];
  for (let shown = peer; shown?.raw !== undefined; shown = shown.issuerCertificate) {
    const certificate = new X509Certificate(shown.raw);
    const issued = chain.at(-1);
    if (issued !== undefined && !isSignedBy(issued, certificate)) return undefined;
    chain.push(certificate);
    const authority = authorities.find((each) => isSignedBy(certificate, each));
    if (authority !== undefined) return [...chain, authority];
    // the last one that the server showed names itself as its issuer
    if (shown.issuerCertificate === shown) return undefined;
  }
  return undefined;
}

const isSignedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
