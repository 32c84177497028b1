/**
 * What is wrong with the stick:
 *
 * - "absent": no file system with its label is there
 * - "gone": it was pulled, or does not answer, while it was in use
 * - "read-only": it cannot be written
 * - "full": there is no room on it
 * - "damaged": its file system is, or it does not keep what was written
 */
export type StickProblem = "absent" | "gone" | "read-only" | "full" | "damaged";

/** The stick cannot be used. The message says what to do. */
export class StickError extends Error {
  override readonly name = "StickError";
  readonly code = "stick";
  readonly problem: StickProblem;

  constructor(problem: StickProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.problem = problem;
  }
}

const remedies: Readonly<Record<StickProblem, string>> = {
  absent: "put the stick in",
  gone: "put it back, or take another port",
  "read-only": "move its write protection, or take another stick",
  full: "delete files that are not reports, or take another stick",
  damaged: "copy its folder reports if that can be read, and write the stick anew",
};

/** What an error of the kernel means. @param what was done: "writing reports/x.json" */
export function stickError(what: string, error: unknown): StickError {
  if (error instanceof StickError) return error;
  const { code = "" } = error as NodeJS.ErrnoException;
  const problem = problemOf(code);
  return new StickError(problem, `stick: ${what}: ${meanings[problem]} (${code || error}); ${remedies[problem]}`, {
    cause: error,
  });
}

const meanings: Readonly<Record<StickProblem, string>> = {
  absent: "it is not there",
  gone: "it does not answer any more",
  "read-only": "it is write-protected",
  full: "it is full",
  damaged: "its file system is damaged",
};

function problemOf(code: string): StickProblem {
  switch (code) {
    case "ENOSPC":
      return "full";
    case "EROFS":
    case "EACCES":
    case "EPERM":
      return "read-only";
    case "EIO":
    case "ENODEV":
    case "ENXIO":
    case "ENOMEDIUM":
    case "ENOENT":
    case "ENOTBLK":
      return "gone";
    default:
      return "damaged";
  }
}
