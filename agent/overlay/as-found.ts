/** What has to be put back so that a machine is left as it was found. */
export class AsFound {
  readonly #undo: { readonly what: string; readonly work: () => void }[] = [];

  /** Call it as soon as something was changed. `what` names that for people. */
  later(what: string, work: () => void): void {
    this.#undo.push({ what, work });
  }

  /** Puts back everything, the last change first. What fails does not keep the rest: returned, a sentence each. */
  putBack(): string[] {
    const problems: string[] = [];
    for (let each = this.#undo.pop(); each !== undefined; each = this.#undo.pop()) {
      try {
        each.work();
      } catch (error) {
        problems.push(`${each.what} is not as it was found: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return problems;
  }
}
