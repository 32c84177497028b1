import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { connect, getCACertificates } from "node:tls";
import { clockFaultOf } from "../../outband-client/service/clock-fault.ts";
import type { ClockFault } from "../../outband-client/service/service-error.ts";
import { ConfigError } from "./config-error.ts";
import { withoutCredentials } from "./document-location.ts";

/** The certificate of a document's server does not hold. Another try would not change that, unless the clock is set. */
export class CertificateError extends ConfigError {
  /** Set if the clock here may be all that is wrong. */
  readonly clockFault: ClockFault | undefined;

  constructor(target: URL, problem: string, clockFault: ClockFault | undefined, options: ErrorOptions) {
    super(`document ${withoutCredentials(target.href)}`, "document", problem, options);
    this.clockFault = clockFault;
  }
}

const probeMs = 5_000;

/**
 * Why the certificate of `target` was refused, and what to do.
 * @param error of the connection; its code is OpenSSL's name of the verification error
 * @param isDirect false: there is a proxy in between, and the clock is not looked into
 */
export async function certificateError(
  target: URL,
  error: NodeJS.ErrnoException,
  isDirect: boolean,
  signal: AbortSignal,
): Promise<CertificateError> {
  const { code = "" } = error;
  const seen = isDirect && isOfTime(code) ? await lookAtClock(target, code, signal) : undefined;
  return new CertificateError(target, problemOf(code, target.hostname, seen), seen?.clockFault, { cause: error });
}

/** What a second look says: without a fault of the clock something else is wrong, too. */
interface Seen {
  readonly clockFault: ClockFault | undefined;
}

const isOfTime = (code: string): boolean => code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID";

function problemOf(code: string, host: string, seen: Seen | undefined): string {
  switch (code) {
    case "CERT_HAS_EXPIRED":
    case "CERT_NOT_YET_VALID": {
      const is = code === "CERT_HAS_EXPIRED" ? "has expired" : "is not yet valid";
      const now = `the certificate of ${host} ${is} by the clock here, ${new Date().toISOString()}`;
      if (seen !== undefined && seen.clockFault === undefined) {
        return `${now}, and it is also of no public authority, or for another name: look at the server`;
      }
      const { validFrom, validTo } = seen?.clockFault ?? {};
      const valid = validFrom && validTo && `; it is valid from ${validFrom.toISOString()} to ${validTo.toISOString()}`;
      return `${now}${valid ?? ""}: set the clock, name an NTP server (rivet.ntp=), or renew the certificate`;
    }
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `the certificate of ${host} is for other names: use a URL with one of them`;
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
      return `the certificate of ${host} is of no public authority, and others are not known here (${code}): use http:// with rivet.ca_sha256= on the kernel command line, which pins the CA of the service, or put the document into the ramdisk or on the stick`;
    default:
      return `the certificate of ${host} does not hold (${code})`;
  }
}

/**
 * Connects once more to see the certificates that verification has thrown away with the connection. Nothing is sent.
 * @returns undefined if that is not possible
 */
async function lookAtClock(target: URL, code: string, signal: AbortSignal): Promise<Seen | undefined> {
  const host = target.hostname.replace(/^\[|\]$/g, "");
  const socket = connect({
    host,
    port: target.port === "" ? 443 : Number(target.port),
    rejectUnauthorized: false,
    ...(isIP(host) === 0 ? { servername: host } : {}),
  });
  const limit = AbortSignal.any([signal, AbortSignal.timeout(probeMs)]);
  const end = () => socket.destroy(new Error("no TLS in time"));
  limit.addEventListener("abort", end, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("secureConnect", resolve);
      socket.on("error", reject);
      socket.once("close", () => reject(new Error("closed")));
      if (limit.aborted) end();
    });
    const authorities = getCACertificates("default").map((pem) => new X509Certificate(pem));
    return { clockFault: clockFaultOf(code, socket, { host }, { authorities }) };
  } catch {
    return undefined;
  } finally {
    limit.removeEventListener("abort", end);
    socket.destroy();
  }
}
