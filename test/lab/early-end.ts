import { type Child, type Exit, tailOf } from "./child.ts";

/** Watches over programs that have to run until the lab has ended. */
export interface EarlyEndWatch extends Disposable {
  /** Aborts as soon as one of them ends; its reason names the program, how it ended, and the end of its log. */
  readonly signal: AbortSignal;
}

/** Without it whoever needs the dead program waits for its own limit, and says something else than what happened. */
export function watchForEarlyEnd(children: readonly Pick<Child, "name" | "logFile" | "exited">[]): EarlyEndWatch {
  const controller = new AbortController();
  let over = false;
  for (const { name, logFile, exited } of children) {
    void exited.then((exit) => {
      if (over) return;
      controller.abort(
        new Error(`${name} ended in the middle of the lab (${wordsFor(exit)}); its log ends with:\n${tailOf(logFile)}`),
      );
    });
  }
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      over = true;
    },
  };
}

const wordsFor = ({ code, signal }: Exit) => (signal === null ? `exit code ${code}` : signal);
