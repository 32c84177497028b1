import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { checkServerIdentity, connect, type TLSSocket } from "node:tls";
import type { ServiceAddress } from "./address.ts";
import { clockFaultOf } from "./clock-fault.ts";
import { type Credentials, oneLine } from "./credentials.ts";
import type { ClockFault } from "./service-error.ts";

/** What a connection to the service comes to, when nothing is said on it. */
export type Verdict =
  /** Both sides accept each other. */
  | { readonly kind: "accepted" }
  /** Nobody there, or the connection broke: it may work later. */
  | { readonly kind: "unreachable"; readonly problem: string }
  /** A certificate was refused: it will not work later. */
  | { readonly kind: "refused"; readonly problem: string; readonly clockFault?: ClockFault | undefined }
  /** Something else listens there. */
  | { readonly kind: "no service"; readonly problem: string };

/**
 * Finds out why no call gets through. gRPC reports every failure to connect alike, as "unavailable", and in TLS 1.3 the
 * server judges the client's certificate only after the client's handshake is done, so a refusal looks like a lost
 * connection. This connects once more, sends nothing, and waits for the server's first bytes: an HTTP/2 server
 * speaks first (RFC 9113 section 3.4), and it does so only after it has accepted the client.
 */
export async function probe(
  address: ServiceAddress,
  credentials: Credentials,
  limitMs: number,
  signal: AbortSignal,
): Promise<Verdict> {
  const first = await probeOnce(address, credentials, limitMs, signal);
  if (first !== "closed after handshake") return first;
  // A service that is just being stopped closes like that too, but not twice in a row.
  const second = await probeOnce(address, credentials, limitMs, signal);
  if (second !== "closed after handshake") return second;
  return { kind: "refused", problem: clientRefused(credentials, "closed the connection without a reason") };
}

function probeOnce(
  address: ServiceAddress,
  credentials: Credentials,
  limitMs: number,
  signal: AbortSignal,
): Promise<Verdict | "closed after handshake"> {
  return new Promise((resolve, reject) => {
    let stage: "connect" | "handshake" | "silence" = "connect";
    const socket = connect({
      host: address.host,
      port: address.port,
      secureContext: credentials.context,
      ALPNProtocols: ["h2"],
      // The verdict below needs the certificate that verification would throw away with the connection.
      rejectUnauthorized: false,
      ...(isIP(address.host) === 0 ? { servername: address.host } : {}),
    });
    const settle = (verdict: Verdict | "closed after handshake") => {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      socket.destroy();
      resolve(verdict);
    };
    const abort = () => {
      clearTimeout(timer);
      socket.destroy();
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      settle({ kind: "unreachable", problem: `${silent[stage]} within ${limitMs / 1000} s` });
    }, limitMs);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();

    socket.once("connect", () => {
      stage = "handshake";
    });
    socket.once("secureConnect", () => {
      stage = "silence";
      const fault = serverFault(socket, address, credentials);
      if (fault) settle(fault);
    });
    socket.once("data", () => settle({ kind: "accepted" }));
    socket.on("error", (error: NodeJS.ErrnoException) => settle(judge(error, stage, credentials)));
    socket.once("close", () => {
      if (stage === "silence") settle("closed after handshake");
      else settle({ kind: "unreachable", problem: "the connection was closed before TLS was agreed on" });
    });
  });
}

const silent = {
  connect: "nobody answered",
  handshake: "the connection was accepted, but TLS was not agreed on",
  silence: "TLS was agreed on, but the service said nothing",
} as const;

function judge(
  error: NodeJS.ErrnoException,
  stage: string,
  credentials: Credentials,
): Verdict | "closed after handshake" {
  const code = error.code ?? "";
  if (!code.startsWith("ERR_SSL_")) {
    return stage === "silence" ? "closed after handshake" : { kind: "unreachable", problem: reach(error) };
  }
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(code)) {
    return { kind: "refused", problem: "the service does not offer TLS 1.3; bring it up to date" };
  }
  if (/ALERT/.test(code)) return { kind: "refused", problem: clientRefused(credentials, alertText(code)) };
  return { kind: "no service", problem: `what listens there does not speak TLS (${code})` };
}

function reach(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "ECONNREFUSED":
      return "nobody listens there (connection refused)";
    case "ENOTFOUND":
      return "the name is unknown to DNS";
    case "EAI_AGAIN":
      return "DNS does not answer";
    case "EHOSTUNREACH":
    case "ENETUNREACH":
      return "there is no route to it";
    case "ETIMEDOUT":
      return "nobody answered";
    case "ECONNRESET":
      return "the connection was reset before TLS was agreed on";
    default:
      return error.message;
  }
}

// The service's certificate as this side sees it; undefined if it is in order.
function serverFault(socket: TLSSocket, address: ServiceAddress, credentials: Credentials): Verdict | undefined {
  const peer = socket.getPeerCertificate();
  if (peer.raw === undefined) return { kind: "refused", problem: "the service shows no certificate" };
  const shown = new X509Certificate(peer.raw);
  // Typed as an Error; at run time it is OpenSSL's name of the verification error.
  const code = socket.authorized ? "" : String(socket.authorizationError);
  if (code !== "" && code !== "ERR_TLS_CERT_ALTNAME_INVALID") {
    const clockFault = clockFaultOf(code, socket, address, credentials);
    return { kind: "refused", problem: verificationText(code, shown, credentials), clockFault };
  }
  if (checkServerIdentity(address.host, peer)) {
    const names = certificateNames(shown);
    return {
      kind: "refused",
      problem: `the service's certificate is for ${names}, not for ${address.host}: connect by one of these names, or make a certificate with it (bmc-service init-pki --name ${address.host})`,
    };
  }
  if (socket.alpnProtocol !== "h2") {
    return { kind: "no service", problem: "what listens there speaks TLS, but not HTTP/2" };
  }
  return undefined;
}

function verificationText(code: string, shown: X509Certificate, credentials: Credentials): string {
  const who = `the service's certificate "${oneLine(shown.subject)}" (for ${certificateNames(shown)})`;
  switch (code) {
    case "CERT_HAS_EXPIRED":
      return `${who} expired at ${iso(shown.validToDate)}; the clock here says ${iso(new Date())}: make a new one or set the clock`;
    case "CERT_NOT_YET_VALID":
      return `${who} is valid only from ${iso(shown.validFromDate)}; the clock here says ${iso(new Date())}: set the clock`;
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "CERT_SIGNATURE_FAILURE":
      return `${who} was issued by ${otherIssuer(shown, credentials)}: use the ca.pem of that service`;
    default:
      return `${who} does not hold: ${code}`;
  }
}

function clientRefused(credentials: Credentials, how: string): string {
  const { own, authorities } = credentials;
  if (own === undefined) return `the service asks for a client certificate and none was given (it ${how})`;
  const now = new Date();
  const reasons: string[] = [];
  if (own.validToDate < now) reasons.push(`it expired at ${iso(own.validToDate)}`);
  if (own.validFromDate > now) reasons.push(`it is valid only from ${iso(own.validFromDate)}`);
  if (!authorities.some((authority) => own.checkIssued(authority) && own.verify(authority.publicKey))) {
    reasons.push(`it was issued by ${otherIssuer(own, credentials)}`);
  }
  const why = reasons.length > 0 ? `: ${reasons.join("; ")}` : "";
  return `the service refused the client certificate "${oneLine(own.subject)}" (it ${how})${why}. Use one that the service's own CA issued (bmc-service init-pki makes them)`;
}

function alertText(code: string): string {
  const alert = code
    .replace(/^.*ALERT_/, "")
    .replaceAll("_", " ")
    .toLowerCase();
  return `said "${alert}"`;
}

function certificateNames(certificate: X509Certificate): string {
  const names = certificate.subjectAltName?.replaceAll(/DNS:|IP Address:/g, "");
  return names ?? "no name at all";
}

// Two sites' CAs often have the same name, as one program made both.
function otherIssuer(certificate: X509Certificate, { authorities }: Credentials): string {
  const issuer = `"${oneLine(certificate.issuer)}"`;
  if (authorities.some(({ subject }) => subject === certificate.issuer)) {
    return `another CA ${issuer} than the one of that name given here (the keys differ)`;
  }
  const given = authorities.map(({ subject }) => `"${oneLine(subject)}"`).join(", ");
  return `${issuer}, which is not the CA given here (${given})`;
}

function iso(date: Date): string {
  return date.toISOString();
}
