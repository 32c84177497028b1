import { columns, rows, type Tone } from "./model.ts";
import { colouredLines } from "./render.ts";

/** A terminal with somebody in front of it: the local screen, or a serial line. */
export interface Terminal {
  /** "/dev/tty1" */
  readonly path: string;
  /** Whether the kernel draws it itself. On a serial line, which may be logged, nothing is drawn over. */
  readonly isLocal: boolean;
  /** Writes at once; what goes wrong is nobody's to know. */
  write(text: string): void;
  /** Tells of what is typed, from now on. */
  listen(typed: (text: string) => void): void;
  /** Lets another program have it while the work goes on. */
  lend(work: () => Promise<void>): Promise<void>;
  /** Gives it up for ever. */
  release(): void;
}

const colours = { good: 32, attention: 33, bad: 31 } as const;

/** Draws 25 lines on a local screen; what is as it was is not drawn again. */
export class LocalScreen {
  readonly #terminal: Pick<Terminal, "write">;
  #drawn: readonly string[] = [];

  constructor(terminal: Pick<Terminal, "write">) {
    this.#terminal = terminal;
  }

  draw(lines: readonly string[], tone?: Tone): void {
    const colour = tone === undefined ? "" : `\u001b[1;${colours[tone]}m`;
    const painted = Array.from({ length: rows }, (_, at) => {
      const line = lines[at] ?? "";
      return at < colouredLines && colour !== "" ? `${colour}${line}\u001b[0m` : line;
    });
    // Without automatic margins nothing scrolls when the last column of the last line is written.
    const begin = this.#drawn.length === 0 ? "\u001b[0m\u001b[2J\u001b[?25l\u001b[?7l" : "";
    const changed = painted.flatMap((line, at) =>
      line === this.#drawn[at] ? [] : [`\u001b[${at + 1};1H${line}${widthOf(line) < columns ? "\u001b[K" : ""}`],
    );
    this.#drawn = painted;
    if (begin !== "" || changed.length > 0) this.#terminal.write(begin + changed.join(""));
  }

  /** Somebody else may have drawn: everything is drawn anew the next time. */
  forget(): void {
    this.#drawn = [];
  }

  /** Leaves an empty screen with a cursor. */
  close(): void {
    this.#drawn = [];
    this.#terminal.write("\u001b[0m\u001b[2J\u001b[1;1H\u001b[?25h\u001b[?7h");
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they take no room
const widthOf = (line: string): number => line.replace(/\u001b\[[0-9;]*m/g, "").length;
