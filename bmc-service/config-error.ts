/** A file, directory or option is wrong: the program does not start. Exit code 78. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly code = "config";
  /** The option that leads to it, for example "--data". */
  readonly option: string;

  /** @param problem what is wrong with what, and what to do; never a secret */
  constructor(option: string, problem: string, options?: ErrorOptions) {
    super(`${option}: ${problem}`, options);
    this.option = option;
  }
}

/** The reason of a system call that failed, in words where the code alone would not help. */
export function systemReason(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  switch (code) {
    case undefined:
      return error instanceof Error ? error.message : String(error);
    case "ENOENT":
      return "there is no such file or directory";
    case "EACCES":
    case "EPERM":
      return `permission denied (${code})`;
    case "ENOSPC":
      return "the disk is full (ENOSPC)";
    case "EROFS":
      return "the file system is read-only (EROFS)";
    case "EISDIR":
      return "it is a directory (EISDIR)";
    case "ENOTDIR":
      return "a part of the path is no directory (ENOTDIR)";
    case "EADDRINUSE":
      return "another program listens there already (EADDRINUSE)";
    case "EADDRNOTAVAIL":
      return "this machine does not have that address (EADDRNOTAVAIL)";
    default:
      return `${error instanceof Error ? error.message : String(error)} (${code})`;
  }
}
