/** The files that are built into one folder: each anew only when what it is made of has changed. */

import { createHash } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PackedCpio, PartSize } from "./packed-cpio.ts";

/** A file as it was built. Sizes are bytes. */
export interface Artefact {
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  /** SHA-256 over all that it is made from. */
  readonly inputs: string;
  readonly parts?: readonly PartSize[];
}

export const sha256 = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("hex");

/** One hash over named inputs, in their order. */
export function hashOf(inputs: readonly (readonly [name: string, body: Buffer | string])[]): string {
  const hash = createHash("sha256");
  for (const [name, body] of inputs) hash.update(`${name}\n${sha256(body)}\n`);
  return hash.digest("hex");
}

/** So that nobody ever boots half a file. `mode` is that of the file from its first byte on. */
export async function writeWhole(path: string, body: Buffer | string, mode = 0o644): Promise<void> {
  await writeFile(`${path}.new`, body, { mode });
  await rename(`${path}.new`, path);
}

export class Artefacts {
  /** What was made or found unchanged, in that order. */
  readonly list: Artefact[] = [];
  /** The names of those that were made. */
  readonly made: string[] = [];
  readonly #folder: string;
  readonly #previous: readonly Artefact[];

  /** `previous`: what the folder's manifest says is there. */
  constructor(folder: string, previous: readonly Artefact[]) {
    this.#folder = folder;
    this.#previous = previous;
  }

  /** The one of that name. @throws Error when it was neither made nor found */
  named(file: string): Artefact {
    const found = this.list.find((each) => each.file === file);
    if (found === undefined) throw new Error(`images: there is no ${file}`);
    return found;
  }

  /** The file's bytes: those that are there if they were made from the same inputs and are still whole, else new ones. */
  async provide(
    file: string,
    inputs: string,
    make: () => Promise<PackedCpio | Buffer> | PackedCpio | Buffer,
    mode?: number,
  ): Promise<Buffer> {
    const path = join(this.#folder, file);
    const before = this.#previous.find((each) => each.file === file && each.inputs === inputs);
    const present = before && (await readIfThere(path));
    if (before && present && sha256(present) === before.sha256) {
      this.list.push(before);
      return present;
    }
    const result = await make();
    const { image, parts } = Buffer.isBuffer(result) ? { image: result, parts: undefined } : result;
    await writeWhole(path, image, mode);
    const made = { file, bytes: image.length, sha256: sha256(image), inputs };
    this.list.push(parts === undefined ? made : { ...made, parts });
    this.made.push(file);
    return image;
  }
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
