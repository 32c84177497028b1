/** Signs UEFI programs for Secure Boot, with sbsign of Debian's sbsigntool. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

/** Files in PEM form. The key must not be encrypted. */
export interface SigningKey {
  readonly keyFile: string;
  readonly certFile: string;
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
