/** What the images are made of: the agent, its libraries, Debian's kernel and modules, the boot loaders. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gunzip, zstdDecompress } from "node:zlib";
import { execa } from "execa";
import { type BuildRecord, buildRecord, debianComponent, installedComponents } from "./components.ts";
import { type DebianKernel, debianKernel, hasOption } from "./debian-kernel.ts";
import type { DebianMirror } from "./debian-package.ts";
import { chooseAliases, chooseModules, type ModuleFile, wishedModulesOf } from "./kernel-modules.ts";
import { type AgentTree, movedToPrefix } from "./private-prefix.ts";
import type { KernelModules } from "./ramdisk.ts";
import type { Component } from "./sbom.ts";
import { librariesIn, type SharedLibrary, sharedLibraries } from "./shared-libraries.ts";
import type { Target } from "./target.ts";

export interface Ingredients {
  readonly target: Target;
  readonly tree: AgentTree;
  /** Undefined for an agent that was built elsewhere. */
  readonly record: BuildRecord | undefined;
  readonly kernelPackage: string;
  readonly vmlinuz: Buffer;
  readonly modules: KernelModules;
  /** systemd's stub for unified kernel images. */
  readonly stub: Buffer;
  readonly components: {
    readonly kernel: Component;
    readonly libraries: readonly Component[];
    readonly stub: readonly Component[];
  };
}

const toolLimitMs = 60_000;
/** Debian's systemd-boot-efi. */
const stubFolder = "usr/lib/systemd/boot/efi";
/** The packages of the libraries that Node needs. */
const libraryPackages = ["libc6", "libstdc++6", "libgcc-s1", "libatomic1"];

/**
 * @param agentAt the built agent
 * @throws PackageUnavailableError when a Debian package is not to be had
 */
export async function gather(
  target: Target,
  agentAt: string,
  mirror: DebianMirror,
  cacheDir: string,
): Promise<Ingredients> {
  const kernel = await debianKernel(mirror, target.debian, join(cacheDir, kernelFolder(target)));
  if (!(await hasOption(kernel, "CONFIG_RD_ZSTD"))) {
    throw new Error(`Linux ${kernel.release} cannot unpack a ramdisk compressed by zstd (CONFIG_RD_ZSTD)`);
  }
  const { libraries, stub, components } =
    target.name === process.arch
      ? await installed(target, agentAt)
      : await downloaded(target, agentAt, mirror, cacheDir);
  return {
    target,
    tree: { agent: await movedToPrefix(agentAt), libraries },
    record: await buildRecord(agentAt),
    kernelPackage: kernel.packageName,
    vmlinuz: await readFile(kernel.vmlinuz),
    modules: await kernelModules(kernel, target),
    stub,
    components: { kernel: debianComponent(kernel.packageName), ...components },
  };
}

const kernelFolder = ({ debian }: Target): string => (debian === "amd64" ? "kernel" : `kernel-${debian}`);

interface FromPackages {
  readonly libraries: readonly SharedLibrary[];
  readonly stub: Buffer;
  readonly components: Pick<Ingredients["components"], "libraries" | "stub">;
}

/** From this machine's own packages. */
async function installed(target: Target, agentAt: string): Promise<FromPackages> {
  const libraries = await sharedLibraries(agentAt);
  const stub = join("/", stubFolder, target.stub);
  return {
    libraries,
    stub: await readFile(stub),
    components: {
      libraries: await installedComponents(libraries.map(({ path }) => path)),
      stub: await installedComponents([stub]),
    },
  };
}

/** From packages of another architecture than this machine's. */
async function downloaded(
  target: Target,
  agentAt: string,
  mirror: DebianMirror,
  cacheDir: string,
): Promise<FromPackages> {
  const fetched = async (name: string) =>
    await mirror.unpacked({
      name,
      architecture: target.debian,
      folder: join(cacheDir, "packages", target.debian, name),
    });
  const packages = [];
  for (const name of libraryPackages) packages.push(await fetched(name));
  const boot = await fetched("systemd-boot-efi");
  const folders = packages.flatMap(({ root }) => ["lib", "usr/lib"].map((lib) => join(root, lib, target.multiarch)));
  return {
    libraries: await librariesIn(folders, agentAt, target.strip),
    stub: await readFile(join(boot.root, stubFolder, target.stub)),
    components: {
      libraries: packages.map(({ file }) => debianComponent(file)),
      stub: [debianComponent(boot.file)],
    },
  };
}

async function kernelModules(kernel: DebianKernel, target: Target): Promise<KernelModules> {
  const read = (name: string): Promise<string> => readFile(join(kernel.modules, name), "utf8");
  const [dep, softdep, alias, builtin] = await Promise.all([
    read("modules.dep"),
    read("modules.softdep"),
    read("modules.alias"),
    read("modules.builtin"),
  ]);
  const files = chooseModules({ dep, softdep, builtin }, wishedModulesOf(target.name));
  const modules = await Promise.all(
    files.map(async ({ path, needs }) => ({
      file: { path: plainName(path), needs: needs.map(plainName) } satisfies ModuleFile,
      body: await readModule(kernel, path),
    })),
  );
  return { release: kernel.release, modules, aliases: chooseAliases(alias, files) };
}

/** A module as the agent will load it: uncompressed, under a name without the compression's suffix. */
async function readModule(kernel: DebianKernel, path: string): Promise<Buffer> {
  const bytes = await readFile(join(kernel.modules, path));
  if (path.endsWith(".xz")) {
    const options = { input: bytes, encoding: "buffer", timeout: toolLimitMs, maxBuffer: 256 * 1024 * 1024 } as const;
    return Buffer.from((await execa("xz", ["--decompress", "--stdout"], options)).stdout);
  }
  if (path.endsWith(".zst")) return await promisify(zstdDecompress)(bytes);
  if (path.endsWith(".gz")) return await promisify(gunzip)(bytes);
  return bytes;
}

const plainName = (path: string): string => path.replace(/\.(xz|zst|gz)$/, "");
