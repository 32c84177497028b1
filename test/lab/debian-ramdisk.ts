/** Debian's own ramdisk, for Debian's own kernel, made by its own tool. */

import { chmodSync, cpSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { repository } from "./artifacts.ts";

const limitMs = 300_000;
const kernels = join(repository, "node_modules/.cache/metal-rivet/kernel");

/** Where `npm run image` unpacked the newest kernel that it fetched, and what `uname -r` says in it. */
export function unpackedKernel(): { readonly root: string; readonly release: string } {
  const root = join(kernels, readdirSync(kernels).sort().at(-1) ?? "", "root");
  const [release = ""] = readdirSync(join(root, "lib/modules"));
  return { root, release };
}

export interface DebianRamdisk {
  /** Scratch; must exist. */
  readonly directory: string;
  readonly output: string;
  /** What is put into /etc/initramfs-tools: path there, text. Hooks and scripts are made executable. */
  readonly files: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Runs mkinitramfs. Folders of this machine stay as they are: what the tool reads there lies in a mount namespace.
 * @throws Error if it cannot be made; it needs root
 */
export async function makeDebianRamdisk({ directory, output, files, env }: DebianRamdisk): Promise<void> {
  const configuration = join(directory, "initramfs-tools");
  cpSync("/etc/initramfs-tools", configuration, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    const file = join(configuration, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    if (/^(hooks|scripts)\//.test(path)) chmodSync(file, 0o755);
  }
  const { root, release } = unpackedKernel();
  const steps = [
    "set -e",
    "mount -t tmpfs none /mnt && mkdir -p /mnt/upper/modules /mnt/work",
    `cp -a ${join(root, "lib/modules", release)} /mnt/upper/modules/`,
    "mount -t overlay none -o lowerdir=/usr/lib,upperdir=/mnt/upper,workdir=/mnt/work /usr/lib",
    `mount -t tmpfs none /boot && cp ${join(root, "boot")}/* /boot/`,
    `mkinitramfs -d ${configuration} -o ${output} ${release}`,
  ];
  await execa("unshare", ["--mount", "sh", "-c", steps.join("\n")], {
    timeout: limitMs,
    env: { PATH: `${process.env.PATH}:/usr/sbin:/sbin`, ...env },
  });
}
