/** Which versions of others' software are in what is built, for the bill of materials. */

import { readFile, realpath } from "node:fs/promises";
import { execa } from "execa";
import type { Component } from "./sbom.ts";

const queryLimitMs = 30_000;

/** What Debian says of these packages in words, as SPDX writes it. */
const debianLicenses: readonly (readonly [name: RegExp, license: string])[] = [
  [/^linux-image-/, "GPL-2.0-only WITH Linux-syscall-note"],
  [/^libc6$/, "LGPL-2.1-or-later"],
  [/^lib(stdc\+\+6|gcc-s1|atomic1)$/, "GPL-3.0-or-later WITH GCC-exception-3.1"],
  [/^systemd-boot-efi$/, "LGPL-2.1-or-later"],
  [/^grub-pc-bin$/, "GPL-3.0-or-later"],
];

/** From a package file's name: "linux-image-6.1.0-56-amd64_6.1.192-2_amd64". */
export function debianComponent(file: string): Component {
  const [name, version, architecture] = file.split("_");
  if (name === undefined || version === undefined || architecture === undefined) {
    throw new Error(`bill of materials: ${file} is not NAME_VERSION_ARCHITECTURE`);
  }
  const license = debianLicenses.find(([names]) => names.test(name))?.[1];
  return { kind: "debian", name, version, architecture, license };
}

/** The installed Debian packages that these files come from. @throws Error that names a file of no package */
export async function installedComponents(paths: readonly string[]): Promise<Component[]> {
  const names = await Promise.all(paths.map(owner));
  const format = ["Package", "Version", "Architecture"].map((field) => `\${${field}}`).join("_");
  const query = ["-W", "-f", `${format}\n`, ...new Set(names)];
  const { stdout } = await execa("dpkg-query", query, { timeout: queryLimitMs, env: { LC_ALL: "C" } });
  return stdout.split("\n").map(debianComponent);
}

/** dpkg knows a file by the path at which its package brought it, which since the merge of /usr may be the other one. */
async function owner(path: string): Promise<string> {
  const real = await realpath(path);
  const other = real.startsWith("/usr/") ? real.slice("/usr".length) : `/usr${real}`;
  for (const each of [real, other]) {
    const result = await execa("dpkg-query", ["-S", each], { timeout: queryLimitMs, reject: false });
    const { stdout, failed, exitCode } = result;
    // 1: it knows no such file. A query that failed otherwise, by its time limit too, tells nothing about the file.
    if (failed && exitCode !== 1) throw new Error(`bill of materials: ${result.shortMessage}`);
    const name = /^(\S+?): \//m.exec(stdout)?.[1];
    if (!failed && name !== undefined) return name;
  }
  throw new Error(`bill of materials: ${path} is of no Debian package`);
}

/** What the build of an executable of ours has written down beside it (build.mjs). */
export interface BuildRecord {
  readonly version: string;
  /** The npm packages in it. */
  readonly packages: readonly Component[];
}

/** The record of that executable; undefined for one that was not built here. */
export async function buildRecord(executable: string): Promise<BuildRecord | undefined> {
  let text: string;
  try {
    text = await readFile(`${executable}.packages.json`, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const { version, packages } = JSON.parse(text) as {
    version: string;
    packages: { name: string; version: string; license: string | null }[];
  };
  return {
    version,
    packages: packages.map((each) => ({ kind: "npm", ...each, license: each.license ?? undefined })),
  };
}

/** Node, and what is built into it: all that is in an executable besides the bundle. */
export function nodeComponents({ node, ...versions }: Readonly<Record<string, string | undefined>>): Component[] {
  const others = Object.entries(versions).flatMap(([name, version]): Component[] =>
    // The number of the binary interface is the version of nothing; a part without version is not in this Node.
    !version || name === "modules" || name === "napi" ? [] : [{ kind: "in-node", name, version, license: undefined }],
  );
  return [{ kind: "node", name: "node", version: node ?? "", license: "MIT" }, ...others];
}
