/**
 * Where agent and libraries lie in every ramdisk: under one folder of their own, the dynamic linker included. So they meet no
 * library of a foreign ramdisk, and no program of that meets one of theirs.
 */

import { copyFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { execa } from "execa";
import type { CpioEntry } from "./cpio.ts";
import { interpreter } from "./elf.ts";
import type { CpioPart } from "./packed-cpio.ts";
import type { SharedLibrary } from "./shared-libraries.ts";

const prefix = "opt/rivet";
/** Paths within the archive: without "/" in front. */
export const agentPath = `${prefix}/bin/metal-rivet`;
const librariesPath = `${prefix}/lib`;

const toolLimitMs = 60_000;

/** A program and its libraries, as they go into an archive. */
export interface AgentTree {
  readonly agent: Buffer;
  readonly libraries: readonly SharedLibrary[];
}

/**
 * The program at `path` with the dynamic linker and the search path of the prefix. DT_RPATH and not DT_RUNPATH: that holds for
 * the libraries' own libraries too, and before LD_LIBRARY_PATH. A static program stays as it is.
 * To be done after `node --build-sea`: a program that was changed before breaks by it.
 */
export async function movedToPrefix(path: string): Promise<Buffer> {
  const linker = interpreter(await readFile(path));
  if (linker === undefined) return await readFile(path);
  const folder = await mkdtemp(join(tmpdir(), "rivet-patchelf-"));
  try {
    const copy = join(folder, "program");
    await copyFile(path, copy);
    const where = ["--set-interpreter", `/${librariesPath}/${basename(linker)}`];
    await execa("patchelf", [...where, "--force-rpath", "--set-rpath", `/${librariesPath}`, copy], {
      timeout: toolLimitMs,
    });
    return await readFile(copy);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What every ramdisk with the agent has in common. */
export function agentParts({ agent, libraries }: AgentTree): CpioPart[] {
  return [
    { name: "agent", entries: [program(agentPath, agent)] },
    {
      name: "libraries",
      entries: libraries.map(({ path, body }) => program(`${librariesPath}/${basename(path)}`, body)),
    },
  ];
}

const program = (path: string, body: Buffer): CpioEntry => ({ kind: "file", path, body, mode: 0o755 });
