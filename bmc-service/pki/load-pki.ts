import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { PeerCertificate } from "node:tls";
import { ConfigError, systemReason } from "../config-error.ts";
import { isThere } from "../store/is-there.ts";
import { requirePrivate } from "../store/key-file.ts";

/** What the server needs for mutual TLS; PEM. */
export interface ServerPki {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Names and addresses for which the certificate holds, as node:crypto writes them. */
  readonly names: string;
  readonly notAfter: Date;
  /** Undefined: this site has none, and takes no enrolment tokens. */
  readonly agentsCa: AgentsCa | undefined;
}

/** What a client of the service needs for mutual TLS; PEM. */
export interface ClientPki {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
}

/** The authority that the service signs the certificates of machines with; PEM. */
export interface AgentsCa {
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Its subject as node:tls writes the issuer of what it has signed. */
  readonly name: PeerCertificate["issuer"];
}

/**
 * Reads ca.pem, server.pem and server.key, and agents-ca.pem and agents-ca.key if they are there, and holds them against each other.
 * @throws ConfigError naming the file and what is wrong with it
 */
export async function loadServerPki(directory: string, now: Date): Promise<ServerPki> {
  const paths = {
    ca: join(directory, "ca.pem"),
    certificate: join(directory, "server.pem"),
    key: join(directory, "server.key"),
  };
  const ca = await read(paths.ca);
  const certificate = await read(paths.certificate);
  const key = await readPrivate(paths.key);
  const caCertificate = parseCertificate(paths.ca, ca);
  const own = parseCertificate(paths.certificate, certificate);
  requirePair(own, paths, key);
  if (!own.checkIssued(caCertificate) || !own.verify(caCertificate.publicKey)) {
    throw wrong(paths.certificate, `it was not signed by ${paths.ca}`);
  }
  requireValid(paths.ca, caCertificate, now);
  requireValid(paths.certificate, own, now);
  const agentsCa = await loadAgentsCa(directory, caCertificate, now);
  return { ca, certificate, key, names: own.subjectAltName ?? "", notAfter: own.validToDate, agentsCa };
}

/**
 * Reads ca.pem and the certificate and key of a role, and holds them against each other. The service may have another CA than the
 * one that signed them: it decides whom it lets in.
 * @param missing what to do about a certificate that is not there
 * @throws ConfigError naming the file and what is wrong with it
 */
export async function loadClientPki(directory: string, role: string, now: Date, missing = ""): Promise<ClientPki> {
  const paths = {
    ca: join(directory, "ca.pem"),
    certificate: join(directory, `${role}.pem`),
    key: join(directory, `${role}.key`),
  };
  const ca = await read(paths.ca);
  if (missing !== "" && !(await exists(paths.certificate))) {
    throw new ConfigError("--pki", `${paths.certificate}: there is no such file; ${missing}`);
  }
  const certificate = await read(paths.certificate);
  const key = await readPrivate(paths.key);
  requireValid(paths.ca, parseCertificate(paths.ca, ca), now);
  const own = parseCertificate(paths.certificate, certificate);
  requirePair(own, paths, key);
  requireValid(paths.certificate, own, now);
  return { ca, certificate, key };
}

async function loadAgentsCa(directory: string, siteCa: X509Certificate, now: Date): Promise<AgentsCa | undefined> {
  const paths = { certificate: join(directory, "agents-ca.pem"), key: join(directory, "agents-ca.key") };
  const [hasCertificate, hasKey] = await Promise.all([exists(paths.certificate), exists(paths.key)]);
  if (!hasCertificate && !hasKey) return undefined;
  const half = hasKey ? paths.certificate : paths.key;
  if (!hasCertificate || !hasKey) {
    const advice = `bring it back from your backup, or type: bmc-service init-pki --out ${directory} --agents-ca-only --force`;
    throw new ConfigError(
      "--pki",
      `${half} is missing, and ${hasKey ? paths.key : paths.certificate} is there; ${advice}`,
    );
  }
  const certificate = await read(paths.certificate);
  const key = await readPrivate(paths.key);
  const parsed = parseCertificate(paths.certificate, certificate);
  requirePair(parsed, paths, key);
  if (!parsed.ca) throw wrong(paths.certificate, "it is no certificate of an authority");
  if (parsed.publicKey.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw wrong(paths.certificate, "its key is no EC key on the curve P-256");
  }
  // Who signed a caller's certificate is told by the issuer's name.
  if (parsed.subject === siteCa.subject) {
    throw wrong(paths.certificate, "it has the name of the site's own authority; the two must differ");
  }
  requireValid(paths.certificate, parsed, now);
  return { certificate, key, name: parsed.toLegacyObject().subject };
}

/** @throws ConfigError if that cannot be told */
function exists(path: string): Promise<boolean> {
  return isThere(path).catch((error: unknown) => {
    throw wrong(path, systemReason(error), error);
  });
}

function requirePair(
  certificate: X509Certificate,
  paths: { readonly certificate: string; readonly key: string },
  key: Buffer,
): void {
  if (certificate.checkPrivateKey(parseKey(paths.key, key))) return;
  throw wrong(paths.key, `it is not the key of ${paths.certificate}`);
}

function requireValid(path: string, certificate: X509Certificate, now: Date): void {
  if (certificate.validToDate < now) throw wrong(path, `it expired at ${certificate.validToDate.toISOString()}`);
  if (certificate.validFromDate > now) {
    throw wrong(path, `it is not valid before ${certificate.validFromDate.toISOString()}; is the clock right?`);
  }
}

function wrong(path: string, problem: string, cause?: unknown): ConfigError {
  return new ConfigError("--pki", `${path}: ${problem}; \`bmc-service init-pki --out DIR\` makes a new set`, { cause });
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw wrong(path, systemReason(error), error);
  }
}

/** Systems keep keys of TLS for a group (Debian's ssl-cert), and systemd shows an ACL's mask where the group's bits are. */
const othersBits = 0o007;

/** A key, which nobody but its owner and group may read. */
async function readPrivate(path: string): Promise<Buffer> {
  const key = await read(path);
  requirePrivate("--pki", path, (await stat(path)).mode, othersBits);
  return key;
}

function parseCertificate(path: string, data: Buffer): X509Certificate {
  try {
    return new X509Certificate(data);
  } catch (error) {
    throw wrong(path, "it is no PEM certificate", error);
  }
}

function parseKey(path: string, data: Buffer): KeyObject {
  try {
    return createPrivateKey(data);
  } catch {
    // The cause is left out: OpenSSL's errors are no place to quote a key file in.
    throw wrong(path, "it is no unencrypted PEM private key");
  }
}
