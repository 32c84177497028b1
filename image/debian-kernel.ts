/**
 * Debian's kernel, whatever its current version: the package that linux-image-amd64 depends on, unpacked into a cache.
 * Needs no root: nothing is installed, and where apt has no package lists of its own, private ones are fetched.
 */

import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { execa, type Options } from "execa";

export interface DebianKernel {
  /** Name and version of the package: "linux-image-6.1.0-56-amd64_6.1.192-2_amd64". */
  readonly packageName: string;
  /** What `uname -r` says: "6.1.0-56-amd64". */
  readonly release: string;
  readonly vmlinuz: string;
  readonly config: string;
  /** /lib/modules/RELEASE as unpacked, with depmod's lists. */
  readonly modules: string;
}

interface Download {
  readonly name: string;
  readonly file: string;
}

export class KernelUnavailableError extends Error {
  override readonly name = "KernelUnavailableError";
}

const metaPackage = "linux-image-amd64";
const limits = { query: 30_000, update: 300_000, download: 900_000, unpack: 180_000 };

/**
 * The kernel, from the cache or from Debian's mirror. `say` is told what takes time or is not as usual.
 * Throws KernelUnavailableError when there is neither a mirror nor a cached kernel.
 */
export async function debianKernel(cacheDir: string, say: (text: string) => void): Promise<DebianKernel> {
  await mkdir(cacheDir, { recursive: true });
  const kernels = join(cacheDir, "kernel");
  const reasons: unknown[] = [];
  for (const lists of ["system", "private"] as const) {
    try {
      const apt = lists === "system" ? [] : await privateLists(join(cacheDir, "apt"), say);
      const wanted = await currentPackage(apt);
      const folder = join(kernels, wanted.file.replace(/\.deb$/, ""));
      if (!(await exists(join(folder, "complete")))) await fetchAndUnpack(wanted, folder, apt, say);
      return await describe(folder);
    } catch (error) {
      reasons.push(error);
    }
  }
  const newest = await newestCached(kernels);
  const why = reasons.map((reason) => (reason instanceof Error ? firstLine(reason) : String(reason))).join("; then: ");
  if (!newest) {
    throw new KernelUnavailableError(
      `cannot get Debian's kernel package, and none is in the cache: ${why}. Is there a network? Does "apt-get update" work?`,
      { cause: reasons.at(-1) },
    );
  }
  say(`Debian's mirror cannot be asked for the current kernel (${why}); using the cached one`);
  return await describe(newest);
}

const firstLine = (error: Error): string =>
  ("shortMessage" in error ? String(error.shortMessage) : error.message).split("\n", 1)[0] ?? error.name;

async function apt(program: string, args: readonly string[], options: Options & { timeout: number }): Promise<string> {
  const { stdout } = await execa(program, args, { ...options, env: { LC_ALL: "C" }, stdin: "ignore" });
  return String(stdout);
}

/** apt's options for lists of our own, freshly fetched: the system's may be absent, old, or not ours to update. */
async function privateLists(folder: string, say: (text: string) => void): Promise<string[]> {
  say("apt does not offer the kernel package: fetching package lists of our own");
  const [state, cache] = [join(folder, "state"), join(folder, "cache")];
  await mkdir(join(state, "lists/partial"), { recursive: true });
  await mkdir(join(cache, "archives/partial"), { recursive: true });
  const options = { "Dir::State": state, "Dir::State::status": "/var/lib/dpkg/status", "Dir::Cache": cache };
  const words = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  await apt("apt-get", [...words, "-q", "update"], { timeout: limits.update });
  return words;
}

/** Which package file the meta package leads to now. */
async function currentPackage(options: readonly string[]): Promise<Download> {
  const depends = await apt("apt-cache", [...options, "depends", metaPackage], { timeout: limits.query });
  const name = /^\s*Depends: (linux-image-\S+)$/m.exec(depends)?.[1];
  if (name === undefined) throw new Error(`apt knows no kernel that ${metaPackage} depends on`);
  const uris = await apt("apt-get", [...options, "download", "--print-uris", name], { timeout: limits.query });
  const file = /^'[^']+' (\S+) \d+ /m.exec(uris)?.[1];
  if (file === undefined) throw new Error(`apt names no file for ${name}`);
  return { name, file: decodeURIComponent(file) };
}

async function fetchAndUnpack(
  wanted: Download,
  folder: string,
  options: readonly string[],
  say: (text: string) => void,
): Promise<void> {
  say(`fetching ${wanted.file}`);
  const unfinished = `${folder}.${process.pid}`;
  try {
    await mkdir(join(unfinished, "root"), { recursive: true });
    // apt checks the SHA256 that the signed package list gives.
    await apt("apt-get", [...options, "-q", "download", wanted.name], { cwd: unfinished, timeout: limits.download });
    const debs = (await readdir(unfinished)).filter((name) => name.endsWith(".deb"));
    const [deb] = debs;
    if (deb === undefined || debs.length > 1) throw new Error(`apt-get download left ${debs.length} packages, not one`);
    const root = join(unfinished, "root");
    await execa("dpkg-deb", ["-x", join(unfinished, deb), root], { timeout: limits.unpack });
    await rm(join(unfinished, deb));
    const release = await releaseIn(root);
    // depmod wants lib/modules; a package for merged /usr brings usr/lib/modules.
    const base = (await exists(join(root, "lib/modules"))) ? root : join(root, "usr");
    await execa("depmod", ["-b", base, release], {
      timeout: limits.unpack,
      env: { PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` },
    });
    await mkdir(join(unfinished, "complete"));
    await rm(folder, { recursive: true, force: true });
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

async function releaseIn(root: string): Promise<string> {
  const names = (await readdir(join(root, "boot"))).filter((name) => name.startsWith("vmlinuz-"));
  const [name] = names;
  if (name === undefined || names.length > 1) throw new Error(`the package holds ${names.length} kernels, not one`);
  return name.slice("vmlinuz-".length);
}

async function describe(folder: string): Promise<DebianKernel> {
  const root = join(folder, "root");
  const release = await releaseIn(root);
  const merged = await exists(join(root, "usr/lib/modules", release));
  return {
    packageName: folder.slice(folder.lastIndexOf("/") + 1),
    release,
    vmlinuz: join(root, "boot", `vmlinuz-${release}`),
    config: join(root, "boot", `config-${release}`),
    modules: join(root, merged ? "usr/lib/modules" : "lib/modules", release),
  };
}

async function newestCached(kernels: string): Promise<string | undefined> {
  const names = (await exists(kernels)) ? await readdir(kernels) : [];
  const dated = await Promise.all(
    names.map(async (name) => {
      const complete = join(kernels, name, "complete");
      return (await exists(complete)) ? { name, time: (await stat(complete)).mtimeMs } : undefined;
    }),
  );
  const newest = dated.filter((item) => item !== undefined).sort((a, b) => b.time - a.time)[0];
  return newest && join(kernels, newest.name);
}

/** The kernel's build configuration says y to this option. */
export async function hasOption(kernel: DebianKernel, option: string): Promise<boolean> {
  return (await readFile(kernel.config, "utf8")).split("\n").includes(`${option}=y`);
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
}
