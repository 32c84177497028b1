import { mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Logger } from "pino";
import { readUkiCommandLine, withCommandLine } from "./uki-command-line.ts";

/** Whoever built it with one of these has told it all that it needs. */
const ownConfiguration = /(^|\s)rivet\.(config|service)=/;

export interface UkiFileOptions {
  /** As it was built. */
  readonly path: string;
  /** The command line to serve it with, from the words that it was built with. */
  readonly commandLine: (words: string) => string;
  readonly log: Logger;
}

/**
 * The UEFI program that firmware fetches by HTTP. Firmware hands it no arguments, so that it is served with a command line that
 * names this server, the same for every machine and without a token: that comes with the document. One that is signed, or
 * was built with a document or service of its own, is served as it is.
 */
export class UkiFile implements AsyncDisposable {
  readonly #options: UkiFileOptions;
  readonly #directory: string;
  #served: Promise<{ readonly stamp: string; readonly path: string }> | undefined;

  private constructor(options: UkiFileOptions, directory: string) {
    this.#options = options;
    this.#directory = directory;
  }

  /** Makes a directory for the changed copy. Rejects with UkiError, or what reading says. */
  static async open(options: UkiFileOptions): Promise<UkiFile> {
    const uki = new UkiFile(options, await mkdtemp(join(tmpdir(), "bmc-service-boot-")));
    try {
      await uki.path();
    } catch (error) {
      await uki[Symbol.asyncDispose]();
      throw error;
    }
    return uki;
  }

  /** Of the file to serve; made anew when the image was built anew. Rejects with UkiError, or what reading says. */
  async path(): Promise<string> {
    const { ino, size, mtimeMs } = await stat(this.#options.path);
    const stamp = `${ino} ${size} ${mtimeMs}`;
    const before = this.#served;
    const isCurrent = (await before?.catch(() => undefined))?.stamp === stamp;
    // Of machines that ask at once, one has it made.
    if (!isCurrent && this.#served === before) this.#served = this.#make(stamp);
    return (await this.#served)?.path ?? this.#options.path;
  }

  async #make(stamp: string) {
    const { path, commandLine, log } = this.#options;
    const bytes = await readFile(path);
    const { text, isSigned } = readUkiCommandLine(bytes);
    const isConfigured = ownConfiguration.test(text);
    if (isSigned || isConfigured) {
      if (!isConfigured) {
        log.warn(
          { uki: path },
          "signed without rivet.config= on its command line: machines that boot it find no service",
        );
      }
      return { stamp, path };
    }
    const served = join(this.#directory, "metal-rivet.efi");
    // Downloads that run keep the file that they began with.
    await writeFile(`${served}.new`, withCommandLine(bytes, commandLine(text)));
    await rename(`${served}.new`, served);
    return { stamp, path: served };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}
