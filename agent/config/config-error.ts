import { hideTokens } from "../../proto/hide-tokens.ts";

/** Where a value came from, in the words of the error message: "kernel command line", "flag", "document http://...". */
export type SourceName = string;

/**
 * The configuration is wrong: a key, a value, a file or a certificate. Exit code 78.
 * `message` reads "source: option: what is wrong; what is allowed" and never holds a secret.
 */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "configuration";
  /** The key as the source spells it, for example "rivet.log". */
  readonly option: string;
  readonly source: SourceName;

  constructor(source: SourceName, option: string, problem: string, options?: ErrorOptions) {
    super(hideTokens(`${source}: ${option}: ${problem}`), options);
    this.source = source;
    this.option = hideTokens(option);
  }
}

/** The command line of the program is wrong. Exit code 64. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  readonly code = "usage";
  /** The flag as typed, for example "--log". */
  readonly option: string;

  constructor(option: string, problem: string, options?: ErrorOptions) {
    super(hideTokens(`${option}: ${problem}`), options);
    this.option = hideTokens(option);
  }
}

/** `text` quoted for a message: cut to 60 characters, control characters and what is not printable escaped. */
export function quoted(text: string): string {
  const cut = text.length > 60 ? `${text.slice(0, 60)}...` : text;
  return JSON.stringify(cut).replace(
    /[\u007f-\u00a0\ufffd\ud800-\udfff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Why a file could not be read, in words. */
export function fileProblem(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case "ENOENT":
      return "there is no such file";
    case "EACCES":
    case "EPERM":
      return "permission denied";
    case "EISDIR":
      return "it is a directory";
    default:
      return message;
  }
}
