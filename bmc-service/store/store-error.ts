/** What is wrong with the store itself. */
export type StoreProblem =
  /** Another process keeps the database locked. */
  | "locked"
  /** The file is no database, or its pages are damaged. */
  | "corrupt"
  /** The disk is full, the file cannot be written or opened. */
  | "unwritable"
  /** A newer release made the database. */
  | "newer schema"
  /** The key does not belong to this database. */
  | "wrong key"
  /** One sealed secret does not open; everything else does. */
  | "damaged secret"
  | "failed";

/** The store cannot do its work; nothing of the operation was stored. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code = "store";
  readonly problem: StoreProblem;

  constructor(problem: StoreProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.problem = problem;
  }
}
