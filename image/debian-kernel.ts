/** Debian's kernel, whatever its current version: the package that linux-image-ARCHITECTURE depends on. */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { type DebianArchitecture, type DebianMirror, exists } from "./debian-package.ts";

export interface DebianKernel {
  /** Name, version and architecture of the package: "linux-image-6.1.0-56-amd64_6.1.192-2_amd64". */
  readonly packageName: string;
  /** What `uname -r` says: "6.1.0-56-amd64". */
  readonly release: string;
  readonly vmlinuz: string;
  readonly config: string;
  /** /lib/modules/RELEASE as unpacked, with depmod's lists. */
  readonly modules: string;
}

const depmodLimitMs = 180_000;

/** @param folder for all versions of it. @throws PackageUnavailableError */
export async function debianKernel(
  mirror: DebianMirror,
  architecture: DebianArchitecture,
  folder: string,
): Promise<DebianKernel> {
  const { file, root } = await mirror.unpacked({
    name: `linux-image-${architecture}`,
    leadsTo: /^linux-image-/,
    architecture,
    folder,
    finish: makeLists,
  });
  const release = await releaseIn(root);
  return {
    packageName: file,
    release,
    vmlinuz: join(root, "boot", `vmlinuz-${release}`),
    config: join(root, "boot", `config-${release}`),
    modules: join(await aboveModules(root), "lib/modules", release),
  };
}

async function makeLists(root: string): Promise<void> {
  await execa("depmod", ["-b", await aboveModules(root), await releaseIn(root)], {
    timeout: depmodLimitMs,
    env: { PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` },
  });
}

/** depmod wants lib/modules; a package for merged /usr brings usr/lib/modules. */
async function aboveModules(root: string): Promise<string> {
  return (await exists(join(root, "lib/modules"))) ? root : join(root, "usr");
}

async function releaseIn(root: string): Promise<string> {
  const names = (await readdir(join(root, "boot"))).filter((name) => name.startsWith("vmlinuz-"));
  const [name] = names;
  if (name === undefined || names.length > 1) throw new Error(`the package holds ${names.length} kernels, not one`);
  return name.slice("vmlinuz-".length);
}

/** The kernel's build configuration says y to this option. */
export async function hasOption(kernel: DebianKernel, option: string): Promise<boolean> {
  return (await readFile(kernel.config, "utf8")).split("\n").includes(`${option}=y`);
}
