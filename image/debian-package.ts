/**
 * Debian packages, unpacked into a cache, whatever their current version. Needs no root: nothing is installed, and where apt has
 * no package lists of its own, or none of that architecture, private ones are fetched.
 */

import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa, type Options } from "execa";

export type DebianArchitecture = "amd64" | "arm64";

/** A package as it was unpacked. */
export interface DebianPackage {
  /** Name, version and architecture: "linux-image-6.1.0-56-amd64_6.1.192-2_amd64". */
  readonly file: string;
  /** The folder that stands for "/". */
  readonly root: string;
}

export interface PackageRequest {
  /** The package's name; of a meta package, with `leadsTo`, the one that it depends on. */
  readonly name: string;
  readonly leadsTo?: RegExp;
  readonly architecture: DebianArchitecture;
  /** A folder for all versions of this package. */
  readonly folder: string;
  /** Done once with a package that was just unpacked. */
  readonly finish?: (root: string) => Promise<void>;
}

export class PackageUnavailableError extends Error {
  override readonly name = "PackageUnavailableError";
}

interface Download {
  readonly name: string;
  readonly file: string;
}

const limits = { query: 30_000, update: 300_000, download: 900_000, unpack: 180_000 };

/** apt's package lists, and who is told what takes time or is not as usual. */
export class DebianMirror {
  readonly #cacheDir: string;
  readonly #say: (text: string) => void;
  readonly #privateLists = new Map<DebianArchitecture, Promise<readonly string[]>>();

  constructor(cacheDir: string, say: (text: string) => void) {
    this.#cacheDir = cacheDir;
    this.#say = say;
  }

  /**
   * The package, from the cache if that has the current version.
   * @throws PackageUnavailableError when there is neither a mirror nor a cached version
   */
  async unpacked(request: PackageRequest): Promise<DebianPackage> {
    await mkdir(request.folder, { recursive: true });
    const reasons: unknown[] = [];
    for (const lists of request.architecture === "amd64" ? (["system", "private"] as const) : (["private"] as const)) {
      try {
        const options = lists === "system" ? [] : await this.#lists(request.architecture);
        const wanted = await currentVersion(request, options);
        const folder = join(request.folder, wanted.file.replace(/\.deb$/, ""));
        if (!(await exists(join(folder, "complete")))) {
          this.#say(`fetching ${wanted.file}`);
          await fetchAndUnpack(wanted, folder, options, request.finish);
        }
        return describe(folder);
      } catch (error) {
        reasons.push(error);
      }
    }
    const why = reasons
      .map((reason) => (reason instanceof Error ? firstLine(reason) : String(reason)))
      .join("; then: ");
    const newest = await newestCached(request.folder);
    if (!newest) {
      throw new PackageUnavailableError(
        `cannot get Debian's package ${request.name} for ${request.architecture}, and none is in the cache: ${why}. Is there a network? Does "apt-get update" work?`,
        { cause: reasons.at(-1) },
      );
    }
    this.#say(`Debian's mirror cannot be asked for the current ${request.name} (${why}); using the cached one`);
    return describe(newest);
  }

  /** apt's options for lists of our own, freshly fetched: the system's may be absent, old, or not ours to update. */
  async #lists(architecture: DebianArchitecture): Promise<readonly string[]> {
    let fetched = this.#privateLists.get(architecture);
    if (fetched === undefined) {
      fetched = this.#fetchLists(architecture);
      this.#privateLists.set(architecture, fetched);
    }
    return await fetched;
  }

  async #fetchLists(architecture: DebianArchitecture): Promise<readonly string[]> {
    this.#say(`fetching package lists of our own for ${architecture}`);
    const folder = join(this.#cacheDir, "apt", architecture);
    const [state, cache, status] = [join(folder, "state"), join(folder, "cache"), join(folder, "status")];
    await mkdir(join(state, "lists/partial"), { recursive: true });
    await mkdir(join(cache, "archives/partial"), { recursive: true });
    await writeFile(status, "");
    const options = {
      "Dir::State": state,
      "Dir::State::status": status,
      "Dir::Cache": cache,
      "APT::Architecture": architecture,
      "APT::Architectures": architecture,
    };
    const words = Object.entries(options).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
    await apt("apt-get", [...words, "-q", "update"], { timeout: limits.update });
    return words;
  }
}

const firstLine = (error: Error): string =>
  ("shortMessage" in error ? String(error.shortMessage) : error.message).split("\n", 1)[0] ?? error.name;

async function apt(program: string, args: readonly string[], options: Options & { timeout: number }): Promise<string> {
  const { stdout } = await execa(program, args, { ...options, env: { LC_ALL: "C" }, stdin: "ignore" });
  return String(stdout);
}

/** Which package file the request leads to now. */
async function currentVersion({ name, leadsTo }: PackageRequest, options: readonly string[]): Promise<Download> {
  const actual = leadsTo === undefined ? name : await dependency(name, leadsTo, options);
  const uris = await apt("apt-get", [...options, "download", "--print-uris", actual], { timeout: limits.query });
  const file = /^'[^']+' (\S+) \d+ /m.exec(uris)?.[1];
  if (file === undefined) throw new Error(`apt names no file for ${actual}`);
  return { name: actual, file: decodeURIComponent(file) };
}

async function dependency(metaPackage: string, leadsTo: RegExp, options: readonly string[]): Promise<string> {
  const text = await apt("apt-cache", [...options, "depends", metaPackage], { timeout: limits.query });
  const names = [...text.matchAll(/^\s*Depends: (\S+)$/gm)].map(([, name = ""]) => name);
  const found = names.find((name) => leadsTo.test(name));
  if (found === undefined) throw new Error(`apt knows no package that ${metaPackage} depends on`);
  return found;
}

async function fetchAndUnpack(
  wanted: Download,
  folder: string,
  options: readonly string[],
  finish: PackageRequest["finish"],
): Promise<void> {
  const unfinished = `${folder}.${process.pid}`;
  try {
    const root = join(unfinished, "root");
    await mkdir(root, { recursive: true });
    // apt checks the SHA256 that the signed package list gives.
    await apt("apt-get", [...options, "-q", "download", wanted.name], { cwd: unfinished, timeout: limits.download });
    const debs = (await readdir(unfinished)).filter((name) => name.endsWith(".deb"));
    const [deb] = debs;
    if (deb === undefined || debs.length > 1) throw new Error(`apt-get download left ${debs.length} packages, not one`);
    await execa("dpkg-deb", ["-x", join(unfinished, deb), root], { timeout: limits.unpack });
    await rm(join(unfinished, deb));
    await finish?.(root);
    await mkdir(join(unfinished, "complete"));
    await rm(folder, { recursive: true, force: true });
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
}

function describe(folder: string): DebianPackage {
  return { file: folder.slice(folder.lastIndexOf("/") + 1), root: join(folder, "root") };
}

async function newestCached(versions: string): Promise<string | undefined> {
  const names = (await exists(versions)) ? await readdir(versions) : [];
  const dated = await Promise.all(
    names.map(async (name) => {
      const complete = join(versions, name, "complete");
      return (await exists(complete)) ? { name, time: (await stat(complete)).mtimeMs } : undefined;
    }),
  );
  const newest = dated.filter((item) => item !== undefined).sort((a, b) => b.time - a.time)[0];
  return newest && join(versions, newest.name);
}

export async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
}
