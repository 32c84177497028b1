/** Signs UEFI programs for Secure Boot, with sbsign of Debian's sbsigntool. */

import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

/** Files in PEM form. The key must not be encrypted. */
export interface SigningKey {
  readonly keyFile: string;
  readonly certFile: string;
}

/** Key or certificate cannot be used. Exit code 78. */
export class SigningKeyError extends Error {
  override readonly name = "SigningKeyError";
}

/** @throws SigningKeyError when one of them is not what it should be, or they do not belong together */
export async function checkPair({ keyFile, certFile }: SigningKey): Promise<void> {
  const read = async <T>(option: string, path: string, parse: (pem: Buffer) => T): Promise<T> => {
    const pem = await readFile(path);
    try {
      return parse(pem);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new SigningKeyError(`${option}: ${path}: not a PEM file without passphrase that can sign: ${why}`);
    }
  };
  const key = await read("--sign-key", keyFile, (pem) => createPrivateKey(pem));
  const certificate = await read("--sign-cert", certFile, (pem) => new X509Certificate(pem));
  if (!certificate.checkPrivateKey(key)) {
    throw new SigningKeyError(`--sign-key: ${keyFile} does not belong to the certificate ${certFile}`);
  }
}

const signLimitMs = 60_000;

/** The program with a signature. @throws Error in sbsign's words when key or certificate are not right */
export async function signed(program: Buffer, { keyFile, certFile }: SigningKey): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), "rivet-sign-"));
  try {
    const [input, output] = [join(folder, "unsigned.efi"), join(folder, "signed.efi")];
    await writeFile(input, program);
    // The key comes from its file: it is in no argument and in no variable.
    await execa("sbsign", ["--key", keyFile, "--cert", certFile, "--output", output, input], {
      timeout: signLimitMs,
      stdin: "ignore",
    });
    return await readFile(output);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
