import { styleText } from "node:util";

/** Progress for people, 80 columns wide: one line each, but for what did not hold. */
export interface Screen {
  /** One line as it is. */
  line(text?: string): void;
  /** A heading. */
  heading(text: string): void;
  /** Something that is done: what, what came out, how long it took. */
  done(what: string, detail: string, ms?: number): void;
  /** Something that did not hold. */
  failed(what: string, detail: string, ms?: number): void;
  /** Something that goes on and may take long. */
  pending(what: string, detail: string): void;
  /** A remark to what is going on. */
  note(what: string, text: string): void;
  /** What somebody else wrote: a table, a log line. */
  quote(text: string): void;
}

const WIDTH = 80;
const WHAT = 24;
const DURATION = 8;
const DETAIL = WIDTH - WHAT - DURATION - 5;
/** A detail without a duration after it. */
const WIDE = WIDTH - WHAT - 5;

/** @param colours whether the other side is a terminal that wants them */
export function makeScreen(write: (text: string) => void, colours: boolean): Screen {
  const paint = (format: Parameters<typeof styleText>[0], text: string) =>
    colours ? styleText(format, text, { validateStream: false }) : text;
  const row = (mark: string, what: string, [first = "", ...more]: readonly string[], ms: number | undefined) => {
    const duration = ms === undefined ? "" : durationText(ms).padStart(DURATION);
    write(
      `${`  ${mark} ${cut(what, WHAT).padEnd(WHAT)} ${first.padEnd(DETAIL)}${paint("dim", duration)}`.trimEnd()}\n`,
    );
    for (const text of more) write(`${" ".repeat(WHAT + 5)}${text}\n`);
  };
  return {
    line: (text = "") => write(`${text}\n`),
    heading: (text) => write(`\n${paint("bold", text)}\n`),
    done: (what, detail, ms) => row(paint("green", "+"), what, [cut(detail, ms === undefined ? WIDE : DETAIL)], ms),
    failed: (what, detail, ms) => row(paint("red", "!"), what, wrap(detail, DETAIL), ms),
    pending: (what, detail) => row(paint("yellow", "."), what, [cut(detail, WIDE)], undefined),
    note: (what, text) => row(" ", what, [cut(text, WIDE)], undefined),
    quote(text) {
      for (const each of text.trimEnd().split("\n")) write(`${each}\n`);
    },
  };
}

/** One line of it, with a mark where something is missing. */
function cut(text: string, width: number): string {
  const line = text.replaceAll(/\s+/g, " ").trim();
  return line.length <= width ? line : `${line.slice(0, width - 1)}…`;
}

/** "0.12 s", "12.3 s", "2 min 05 s". */
export function durationText(ms: number): string {
  if (ms < 10_000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 100_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${String(seconds % 60).padStart(2, "0")} s`;
}

/** Words onto lines of at most `width` characters; a longer word stands on a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines;
}
