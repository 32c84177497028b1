import { access, constants, stat } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, systemReason } from "../config-error.ts";

/** Files that the boot server hands out, by the path of their URL. Nothing else of the directory can be asked for. */
export type BootFiles = ReadonlyMap<string, string>;

/** A kernel or ramdisk: a file of ours, or a URL elsewhere. */
export interface BootSource {
  /** Absolute, or a path at this server. */
  readonly url: string;
  /** What is served there; undefined: somebody else serves it. */
  readonly file: string | undefined;
}

/**
 * @param text name of a file in `images`, or an http:// or https:// URL
 * @throws ConfigError if there is no such file, or it cannot be served
 */
export async function bootSource(option: string, text: string, images: string): Promise<BootSource> {
  if (/^https?:\/\//.test(text)) {
    if (/^[\x21-\x7e]+$/.test(text) && !text.includes("${") && URL.canParse(text))
      return { url: text, file: undefined };
    throw new ConfigError(option, `${JSON.stringify(text)} is no URL that a boot loader can ask for`);
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9._+-]*$/.test(text)) {
    throw new ConfigError(option, `${JSON.stringify(text)}: give the name of a file in --images, or a URL`);
  }
  const path = join(images, text);
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new ConfigError(option, `${path} is no file`);
    if (found.size === 0) throw new ConfigError(option, `${path} is empty`);
    await access(path, constants.R_OK);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(option, `${path}: ${systemReason(error)}`, { cause: error });
  }
  return { url: `/images/${text}`, file: path };
}
