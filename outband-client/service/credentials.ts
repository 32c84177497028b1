import { X509Certificate } from "node:crypto";
import { createSecureContext, type SecureContext } from "node:tls";
import { ServiceError } from "./service-error.ts";

/** PEM texts. Without `cert` and `key` the caller shows no certificate. */
export interface Pem {
  readonly ca: string | Buffer;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
}

/** The caller's side of mutual TLS, checked once so that a later refusal can name its reason. */
export interface Credentials {
  readonly context: SecureContext;
  readonly authorities: readonly X509Certificate[];
  readonly own: X509Certificate | undefined;
}

/**
 * Checks the PEM texts and makes a TLS 1.3 context of them.
 * @throws ServiceError "configuration" naming the part; key material is never shown
 */
export function loadCredentials(pem: Pem): Credentials {
  const authorities = certificates("ca", pem.ca);
  if ((pem.cert === undefined) !== (pem.key === undefined)) {
    const missing = pem.cert === undefined ? "cert" : "key";
    throw new ServiceError("configuration", `${missing}: missing; a client certificate and its key go together`);
  }
  const [own] = pem.cert === undefined ? [] : certificates("cert", pem.cert);
  if (pem.key !== undefined && !/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/.test(String(pem.key))) {
    throw new ServiceError("configuration", "key: this is no private key in PEM form without a passphrase");
  }
  try {
    const context = createSecureContext({
      ca: pem.ca,
      ...(pem.cert === undefined ? {} : { cert: pem.cert }),
      ...(pem.key === undefined ? {} : { key: pem.key }),
      minVersion: "TLSv1.3",
    });
    return { context, authorities, own };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ServiceError("configuration", `key: it cannot be used with cert: ${reason}`, { cause });
  }
}

// node:tls takes a CA text with nothing usable in it without a word, and then trusts nobody.
function certificates(part: string, pem: string | Buffer): X509Certificate[] {
  const blocks = String(pem).match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0)
    throw new ServiceError("configuration", `${part}: there is no certificate in PEM form in it`);
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw new ServiceError("configuration", `${part}: certificate ${index + 1} of ${blocks.length} is damaged`, {
        cause,
      });
    }
  });
}

/** A distinguished name on one line: "CN=agent, OU=agent". */
export function oneLine(name: string): string {
  return name.split("\n").join(", ") || "no name";
}
