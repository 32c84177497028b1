import { stat } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, systemReason } from "../config-error.ts";

/** Files that the boot server hands out, by the path of their URL. Nothing else of the directory can be asked for. */
export type BootFiles = ReadonlyMap<string, string>;

/** A kernel or ramdisk: a file of ours, or a URL elsewhere. */
export interface BootSource {
  /** For the machine: absolute. */
  readonly url: string;
  /** What is served there; undefined: somebody else serves it. */
  readonly file: { readonly path: string; readonly name: string } | undefined;
}

/**
 * @param text name of a file in `images`, or an http:// or https:// URL
 * @param base URL of this server, without a slash at its end
 * @throws ConfigError if there is no such file
 */
export async function bootSource(option: string, text: string, images: string, base: string): Promise<BootSource> {
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
    if (!(await stat(path)).isFile()) throw new ConfigError(option, `${path} is no file`);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(option, `${path}: ${systemReason(error)}`, { cause: error });
  }
  return { url: `${base}/images/${text}`, file: { path, name: `/images/${text}` } };
}
