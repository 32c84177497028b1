import { chmod, lstat, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, systemReason } from "../config-error.ts";
import { makeDirectory } from "../make-directory.ts";
import { createAgentsAuthority } from "./agents-authority.ts";
import { type CertificateAndKey, createCertificateAuthority, type Validity } from "./certificate-authority.ts";
import { type CertificateName, loopbackNames } from "./certificate-name.ts";

const dayMs = 86_400_000;

export interface InitPkiOptions {
  readonly out: string;
  /** What the service is reached as, besides this machine's own loopback names. */
  readonly names: readonly CertificateName[];
  /** How long every certificate is valid, from now. */
  readonly days: number;
  /** Whether agents-ca alone is made: a site of an earlier release has everything else. */
  readonly agentsCaOnly?: boolean;
  /** Whether files that are there already may be replaced. */
  readonly force: boolean;
  readonly now: Date;
}

/** What was made. */
export interface MadePki {
  readonly files: readonly string[];
  readonly names: readonly CertificateName[];
  readonly notAfter: Date;
}

/**
 * Writes ca.pem and, as .pem and .key, server, agent, boot, viewer, operator and admin. Keys have mode 0600. The key of the CA is not
 * kept: nobody can sign another certificate for this site, and to renew one is to renew all. agents-ca is an authority of
 * bmc-service's own, for machines that come with an enrolment token.
 * @throws ConfigError if files are there already and `force` is not set, or the directory cannot be written
 */
export async function initPki(options: InitPkiOptions): Promise<MadePki> {
  const { out, now } = options;
  const names = withoutDuplicates([...options.names, ...loopbackNames]);
  // A day earlier, for machines whose clock is a little behind.
  const validity = {
    notBefore: new Date(now.getTime() - dayMs),
    notAfter: new Date(now.getTime() + options.days * dayMs),
  };
  const files = [
    ...filesOf("agents-ca", await createAgentsAuthority(validity)),
    ...(options.agentsCaOnly === true ? [] : await siteFiles(names, validity)),
  ];
  try {
    await makeDirectory(out, 0o755);
    if (!options.force)
      await refuseExisting(
        out,
        files.map(({ name }) => name),
      );
    for (const file of files) await writeNew(join(out, `${file.name}.new`), file.text, file.mode);
    for (const file of files) await rename(join(out, `${file.name}.new`), join(out, file.name));
  } catch (error) {
    for (const file of files) await rm(join(out, `${file.name}.new`), { force: true }).catch(() => undefined);
    if (error instanceof ConfigError) throw error;
    throw new ConfigError("--out", `${out} cannot be written: ${systemReason(error)}`, { cause: error });
  }
  return { files: files.map(({ name }) => join(out, name)), names, notAfter: validity.notAfter };
}

interface NewFile {
  readonly name: string;
  readonly text: string;
  readonly mode: number;
}

async function siteFiles(names: readonly CertificateName[], validity: Validity): Promise<NewFile[]> {
  const authority = await createCertificateAuthority(validity);
  const files = [{ name: "ca.pem", text: authority.certificate, mode: 0o644 }];
  files.push(...filesOf("server", await authority.issue("server", "bmc-service", names)));
  for (const role of ["agent", "boot", "viewer", "operator", "admin"] as const) {
    files.push(...filesOf(role, await authority.issue(role, role, [])));
  }
  return files;
}

function filesOf(name: string, { certificate, key }: CertificateAndKey): NewFile[] {
  return [
    { name: `${name}.pem`, text: certificate, mode: 0o644 },
    { name: `${name}.key`, text: key, mode: 0o600 },
  ];
}

async function refuseExisting(directory: string, names: readonly string[]): Promise<void> {
  const there: string[] = [];
  for (const name of names) {
    const found = await lstat(join(directory, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw error;
    });
    if (found !== undefined) there.push(name);
  }
  if (there.length > 0) {
    throw new ConfigError(
      "--out",
      `${directory} holds ${there.join(", ")} already; nothing was written. ` +
        "Give another directory, or --force to replace them (whoever has a certificate of the old CA is locked out then)",
    );
  }
}

async function writeNew(path: string, text: string, mode: number): Promise<void> {
  await rm(path, { force: true });
  const file = await open(path, "wx", mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  // The umask may have taken bits away from what others are to read.
  await chmod(path, mode);
}

function withoutDuplicates(names: readonly CertificateName[]): CertificateName[] {
  return [...new Map(names.map((name) => [`${name.type}:${name.value}`, name])).values()];
}
