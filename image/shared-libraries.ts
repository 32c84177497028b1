/** The shared libraries of a program, at the paths where its dynamic linker will look for them. */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { execa } from "execa";
import { exists } from "./debian-package.ts";
import { interpreter, isElf64, neededLibraries } from "./elf.ts";

export interface SharedLibrary {
  /** Absolute path by which the linker opens it, for example "/lib64/ld-linux-x86-64.so.2". */
  readonly path: string;
  readonly body: Buffer;
}

const toolLimitMs = 30_000;

/**
 * The dynamic linker and every library that `program` needs, directly or not, stripped of what no run needs.
 * Throws when the program is no ELF file or a library is missing on this machine.
 */
export async function sharedLibraries(program: string): Promise<SharedLibrary[]> {
  const bytes = await readFile(program);
  if (!isElf64(bytes)) throw new Error(`${program}: not a 64-bit ELF program`);
  const linker = interpreter(bytes);
  if (linker === undefined) return [];
  const { stdout } = await execa("ldd", [program], { timeout: toolLimitMs, env: { LC_ALL: "C", LD_PRELOAD: "" } });
  const paths = parseLdd(stdout);
  const missing = neededLibraries(bytes).filter(
    (name) => ![...paths, linker].some((path) => path.endsWith(`/${name}`)),
  );
  if (missing.length > 0) throw new Error(`${program}: this machine has no ${missing.join(", ")}`);
  const all = [...new Set([linker, ...paths])].sort();
  return await Promise.all(all.map(async (path) => ({ path, body: await stripped("strip", path) })));
}

/**
 * The same for a program that does not run here: out of these folders, in their order, each with the libraries of some package.
 * `strip`: binutils' one for them. Throws when a library is in none of the folders.
 */
export async function librariesIn(
  folders: readonly string[],
  program: string,
  strip: string,
): Promise<SharedLibrary[]> {
  const bytes = await readFile(program);
  const linker = interpreter(bytes);
  if (linker === undefined) return [];
  const found = new Map<string, SharedLibrary>();
  const wanted = [basename(linker), ...neededLibraries(bytes)];
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (found.has(name)) continue;
    const path = await firstPath(folders, name);
    if (path === undefined) throw new Error(`${program}: no package has ${name}`);
    found.set(name, { path: `/lib/${name}`, body: await stripped(strip, path) });
    wanted.push(...neededLibraries(await readFile(path)));
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

async function firstPath(folders: readonly string[], name: string): Promise<string | undefined> {
  for (const folder of folders) {
    if (await exists(join(folder, name))) return join(folder, name);
  }
  return undefined;
}

/** The absolute paths in ldd's answer. A library that it does not find is an error. */
export function parseLdd(text: string): string[] {
  return text.split("\n").flatMap((line) => {
    if (line.includes("=> not found")) throw new Error(`ldd: ${line.trim()}`);
    const path = /(?:=> |^\s*)(\/\S+) \(0x[0-9a-f]+\)$/.exec(line)?.[1];
    return path === undefined ? [] : [path];
  });
}

/** strip replaces its output file, so that must be a file of our own: given /dev/stdout, root would replace the device. */
async function stripped(strip: string, path: string): Promise<Buffer> {
  const folder = await mkdtemp(join(tmpdir(), "rivet-strip-"));
  try {
    const output = join(folder, "library");
    await execa(strip, ["--strip-unneeded", "-o", output, path], { timeout: toolLimitMs });
    const body = await readFile(output);
    if (!isElf64(body)) throw new Error(`strip ${path}: gave ${body.length} bytes that are no library`);
    return body;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
