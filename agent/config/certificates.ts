import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { ConfigError, fileProblem } from "./config-error.ts";

/** What mTLS with the service needs. `key` is a secret. */
export interface Credentials {
  /** PEM, one or more certificates. */
  readonly ca: string;
  /** PEM, our own certificate first, then intermediate ones; undefined: it is asked for with an enrolment token. */
  readonly cert?: string;
  /** PEM, not encrypted. */
  readonly key?: string;
}

/** Where they come from: without `own` there is only the authority. */
export interface CredentialOrigins {
  readonly ca: PemOrigin;
  readonly own?: { readonly cert: PemOrigin; readonly key: PemOrigin };
  /** SHA-256 of the only certificate of `ca` that is trusted, in hexadecimal; undefined: all are. */
  readonly caSha256?: string;
}

/** A PEM text, or the path of one. `source` and `option` name it in errors. */
export interface PemOrigin {
  readonly source: string;
  readonly option: string;
  readonly value: string;
  readonly inline: boolean;
}

/** Certificates are a few kB; something larger is another file. */
const maxPemBytes = 256 * 1024;
const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * Reads and checks the texts. Throws ConfigError naming the file (or the document's key) and the reason: not readable,
 * no PEM, garbled, the other kind of PEM, an encrypted key, a key that does not belong to the certificate, another authority
 * than the one that is pinned. Dates are left to TLS: the clock of this machine may be wrong.
 */
export async function loadCredentials({ ca, own, caSha256 }: CredentialOrigins): Promise<Credentials> {
  const [caText, certText, keyText] = await Promise.all([ca, own?.cert, own?.key].map((each) => each && readPem(each)));
  const authorities = parseCertificates(ca, caText ?? "");
  const trusted = caSha256 === undefined ? (caText ?? "") : pinned(ca, authorities, caSha256).toString();
  if (own === undefined || certText === undefined || keyText === undefined) return { ca: trusted };
  const [certificate] = parseCertificates(own.cert, certText);
  const privateKey = parsePrivateKey(own.key, keyText);
  if (certificate && !certificate.checkPrivateKey(privateKey)) {
    fail(own.key, `does not belong to the certificate of ${nameOf(own.cert)}; give the pair made together`);
  }
  return { ca: trusted, cert: certText, key: keyText };
}

/** Whatever else came with it, by a road that others may write to, is not trusted. */
function pinned(origin: PemOrigin, authorities: readonly X509Certificate[], caSha256: string): X509Certificate {
  const wanted = caSha256.replaceAll(":", "").toUpperCase();
  const found = authorities.find(({ fingerprint256 }) => fingerprint256.replaceAll(":", "") === wanted);
  if (found !== undefined) return found;
  const there = authorities.map(({ fingerprint256 }) => fingerprint256).join(", ");
  return fail(origin, `is not the certificate that ca_sha256 pins (its SHA-256 is ${there}): where does it come from?`);
}

const nameOf = ({ inline, option, value }: PemOrigin): string => (inline ? option : `${option} ${value}`);

function fail(origin: PemOrigin, problem: string, cause?: unknown): never {
  throw new ConfigError(origin.source, nameOf(origin), problem, cause === undefined ? {} : { cause });
}

/** The text itself, or of the file that is named. @throws ConfigError when there is none, or what is inline is no PEM text */
export async function readPem(origin: PemOrigin): Promise<string> {
  if (origin.inline) {
    if (!origin.value.includes("-----BEGIN ")) fail(origin, "is not a PEM text (-----BEGIN ...); paths are for flags");
    return origin.value;
  }
  try {
    const { size } = await stat(origin.value);
    if (size > maxPemBytes) fail(origin, `has ${size} bytes, more than ${maxPemBytes}: not a certificate or key`);
    return await readFile(origin.value, "latin1");
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    return fail(origin, `cannot be read: ${fileProblem(error)}`, error);
  }
}

function parseCertificates(origin: PemOrigin, pem: string): X509Certificate[] {
  const blocks = pem.match(certificateBlock) ?? [];
  if (blocks.length === 0) {
    const other = /-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(pem)?.[1];
    fail(
      origin,
      other && other !== "CERTIFICATE" ? `holds a ${other}, not a CERTIFICATE` : "holds no whole PEM certificate",
    );
  }
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (error) {
      return fail(origin, `certificate ${index + 1} of ${blocks.length} is garbled: ${opensslReason(error)}`, error);
    }
  });
}

function parsePrivateKey(origin: PemOrigin, pem: string): ReturnType<typeof createPrivateKey> {
  const label = /-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(pem)?.[1];
  if (label === undefined) fail(origin, "holds no PEM private key");
  if (!label.endsWith("PRIVATE KEY") && label !== "EC PARAMETERS") fail(origin, `holds a ${label}, not a PRIVATE KEY`);
  if (label === "ENCRYPTED PRIVATE KEY" || /^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    fail(origin, "is encrypted with a passphrase; give the key unencrypted");
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    // the cause is left out: nothing of a private key may reach a log
    return fail(origin, `is garbled: ${opensslReason(error)}`);
  }
}

/** OpenSSL's own words without its error numbers: "wrong tag", "bad base64 decode". */
function opensslReason(error: unknown): string {
  const { reason, message } = error as { reason?: string; message: string };
  return reason ?? message.split(":").at(-1) ?? "unknown";
}
