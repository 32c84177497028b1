/** Why a file could not be read, in the words of a person. */
export function fileProblem(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  switch (code) {
    case "ENOENT":
      return "no such file";
    case "EACCES":
      return "you may not read it";
    case "EISDIR":
      return "it is a directory";
    case "ENOTDIR":
      return "a part of the path is no directory";
    default:
      return cause instanceof Error ? cause.message : String(cause);
  }
}
