import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { ConfigError, fileProblem } from "./config-error.ts";

/** What mTLS with the service needs. `key` is a secret. */
export interface Credentials {
  /** PEM, one or more certificates. */
  readonly ca: string;
  /** PEM, our own certificate first, then intermediate ones. */
  readonly cert: string;
  /** PEM, not encrypted. */
  readonly key: string;
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
 * Reads and checks the three texts. Throws ConfigError naming the file (or the document's key) and the reason: not readable,
 * no PEM, garbled, the other kind of PEM, an encrypted key, a key that does not belong to the certificate.
 * Dates are left to TLS: the clock of this machine may be wrong.
 */
export async function loadCredentials(origins: Record<keyof Credentials, PemOrigin>): Promise<Credentials> {
  const [ca, cert, key] = await Promise.all([readPem(origins.ca), readPem(origins.cert), readPem(origins.key)]);
  parseCertificates(origins.ca, ca);
  const [own] = parseCertificates(origins.cert, cert);
  const privateKey = parsePrivateKey(origins.key, key);
  if (own && !own.checkPrivateKey(privateKey)) {
    fail(origins.key, `does not belong to the certificate of ${nameOf(origins.cert)}; give the pair made together`);
  }
  return { ca, cert, key };
}

const nameOf = ({ inline, option, value }: PemOrigin): string => (inline ? option : `${option} ${value}`);

function fail(origin: PemOrigin, problem: string, cause?: unknown): never {
  throw new ConfigError(origin.source, nameOf(origin), problem, cause === undefined ? {} : { cause });
}

async function readPem(origin: PemOrigin): Promise<string> {
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
