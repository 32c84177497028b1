import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, systemReason } from "../config-error.ts";

/** What the server needs for mutual TLS; PEM. */
export interface ServerPki {
  readonly ca: Buffer;
  readonly certificate: Buffer;
  readonly key: Buffer;
  /** Names and addresses for which the certificate holds, as node:crypto writes them. */
  readonly names: string;
  readonly notAfter: Date;
}

/**
 * Reads ca.pem, server.pem and server.key and holds them against each other.
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
  const key = await read(paths.key);
  const caCertificate = parseCertificate(paths.ca, ca);
  const own = parseCertificate(paths.certificate, certificate);
  if (!own.checkPrivateKey(parseKey(paths.key, key))) {
    throw wrong(paths.key, `it is not the key of ${paths.certificate}`);
  }
  if (!own.checkIssued(caCertificate) || !own.verify(caCertificate.publicKey)) {
    throw wrong(paths.certificate, `it was not signed by ${paths.ca}`);
  }
  for (const [path, each] of [
    [paths.ca, caCertificate],
    [paths.certificate, own],
  ] as const) {
    if (each.validToDate < now) throw wrong(path, `it expired at ${each.validToDate.toISOString()}`);
    if (each.validFromDate > now) {
      throw wrong(path, `it is not valid before ${each.validFromDate.toISOString()}; is the clock right?`);
    }
  }
  return { ca, certificate, key, names: own.subjectAltName ?? "", notAfter: own.validToDate };
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
