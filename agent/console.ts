import { writeSync } from "node:fs";
import { isatty } from "node:tty";
import type { LogFormat } from "./config/settings.ts";
import type { StepEvent } from "./step.ts";
import { wrap } from "./wrap.ts";

/**
 * What people at a rack read, or a program with `log=json`: one JSON object a line with `event` (first, init, step, note,
 * problem, end), `msg`, `level`, `time`. Nothing that is passed in may hold a secret.
 */
export interface Console {
  /** The first line of the program. */
  first(version: string, kernel: string): void;
  /** Something that was seen, in one sentence. */
  note(text: string): void;
  /** Something that the init did. */
  task(name: string, durationMs: number, detail?: string): void;
  /** Something that the init does now, and that may take so long, in milliseconds; its end is told as a task. */
  begins?(name: string, limitMs: number): void;
  /** That nothing more happens until a person wants it, where that is not told as a note: the screen shows it by itself. */
  waits?(text: string): void;
  /** Where the machine stands, as its configuration names it; "" if it does not. */
  site?(name: string): void;
  /** What the BMC told of itself. */
  bmc?(bmc: SeenOfBmc): void;
  step(event: StepEvent): void;
  /** Something that went wrong; the program goes on or ends as said. */
  problem(text: string): void;
  end(ended: RunEnd): void;
}

/** How a run ended, as the last line says it. */
export interface RunEnd {
  /** The kind of the outcome, or "error". */
  readonly outcome: string;
  readonly exitCode: number;
  /** What happened and what to do next. */
  readonly text: string;
  readonly durationMs: number;
  /** Unknown when the run ended before it counted. */
  readonly ipmiCommands?: number;
  /** Unknown when the run failed. */
  readonly machineUuid?: string;
  /** The BMC that the outcome is about, and the account on it, if there are such; never a password. */
  readonly bmc?: EndedBmc;
  /** What was thrown, of a run that failed. */
  readonly error?: Error;
}

/** A BMC at the end of a run; only the MAC is known of one that is closed or full. */
export interface EndedBmc {
  readonly mac: string;
  readonly address?: string;
  readonly channel?: number;
  readonly userName?: string;
  /** User ID; 0 for an account that an operator gave. */
  readonly slot?: number;
}

/** What people know a BMC by; empty texts are not known. */
export interface SeenOfBmc {
  readonly mac: string;
  readonly address: string;
  readonly firmware: string;
}

export interface ConsoleOptions {
  /** Takes whole lines without the line feed. */
  readonly write?: (line: string) => void;
  readonly colours?: boolean;
  /** How long a step runs silently before it is announced, in milliseconds. */
  readonly announceAfterMs?: number;
}

/** A console in the format that is asked for. Writes at once and in order, also on a serial line. */
export async function openConsole(format: LogFormat, options: ConsoleOptions = {}): Promise<Console> {
  const write = options.write ?? writeLine;
  if (format === "json") return await jsonConsole(write);
  const colours = options.colours ?? (process.pid !== 1 && !process.env.NO_COLOR && isatty(1));
  return textConsole(write, colours, options.announceAfterMs ?? 500);
}

/** Waits for a slow terminal instead of losing lines; a console that is gone is no reason to stop. */
function writeLine(line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let at = 0, tries = 0; at < bytes.length && tries < 10_000; ) {
    try {
      at += writeSync(1, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
      tries++;
    }
  }
}

/** "12 ms", "1.2 s", "75 s" */
export function durationText(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  return ms < 9_950 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

/** What other machines say (a BMC's name, a service's reason) must not steer a terminal. */
const printable = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, "?");

function textConsole(write: (line: string) => void, colours: boolean, announceAfterMs: number): Console {
  const say = (text: string, colour?: "green" | "red" | "bold", first = "", rest = "      "): void => {
    const code = { green: 32, red: 31, bold: 1 };
    for (const line of wrap(printable(text), first, rest)) {
      write(colours && colour ? `\u001b[${code[colour]}m${line}\u001b[0m` : line);
    }
  };
  const announcements = new Map<string, NodeJS.Timeout>();
  let lastReason: string | undefined;
  return {
    first: (version, kernel) => say(`metal-rivet ${version} on ${kernel}`, "bold"),
    note: (text) => say(text, undefined, "      ", "        "),
    task: (name, durationMs, detail) =>
      say(`init  ${name}: done, ${durationText(durationMs)}${detail ? `: ${detail}` : ""}`),
    step(event) {
      const name = `[${event.number}/${event.of}] ${event.step}`;
      if (event.kind === "started") {
        const announcement = setTimeout(() => say(`${name} ...`), announceAfterMs);
        announcement.unref();
        announcements.set(event.step, announcement);
        return;
      }
      clearTimeout(announcements.get(event.step));
      announcements.delete(event.step);
      const duration = durationText(event.durationMs);
      if (event.kind === "failed") {
        lastReason = event.reason;
        say(`${name}: FAILED after ${duration}: ${event.reason}`, "red");
      }
      if (event.kind === "done") say(`${name}: done, ${duration}${event.detail === "" ? "" : `: ${event.detail}`}`);
    },
    problem: (text) => say(`ERROR ${text}`, "red"),
    end({ outcome, exitCode, text, durationMs, ipmiCommands }) {
      // the line of the step that failed told it already
      if (lastReason === undefined || !text.endsWith(lastReason)) say(text, exitCode === 0 ? "green" : "red", "", "");
      const count = ipmiCommands === undefined ? "" : `, ${ipmiCommands} IPMI commands`;
      say(`run ended: ${outcome}, exit code ${exitCode}${count}, ${durationText(durationMs)}`);
    },
  };
}

async function jsonConsole(write: (line: string) => void): Promise<Console> {
  const { default: pino } = await import("pino");
  const log = pino(
    { base: null, formatters: { level: (level) => ({ level }) }, timestamp: pino.stdTimeFunctions.isoTime },
    { write: (text: string) => write(text.trimEnd()) },
  );
  const rounded = (ms: number): number => Math.round(ms * 10) / 10;
  return {
    first: (version, kernel) => log.info({ event: "first", version, kernel }, `metal-rivet ${version} on ${kernel}`),
    note: (text) => log.info({ event: "note" }, text),
    task: (name, durationMs, detail) =>
      log.info({ event: "init", task: name, duration_ms: rounded(durationMs), ...(detail ? { detail } : {}) }, name),
    step({ kind, step, number, of, ...rest }) {
      const fields = { event: "step", status: kind, step, number, of };
      const duration = "durationMs" in rest ? { duration_ms: rounded(rest.durationMs) } : {};
      if ("reason" in rest) log.error({ ...fields, ...duration, reason: rest.reason }, `${step}: ${rest.reason}`);
      else
        log.info({ ...fields, ...duration, ...("detail" in rest ? { detail: rest.detail } : {}) }, `${step}: ${kind}`);
    },
    problem: (text) => log.error({ event: "problem" }, text),
    end({ outcome, exitCode, text, durationMs, ipmiCommands }) {
      const count = ipmiCommands === undefined ? {} : { ipmi_commands: ipmiCommands };
      const fields = { event: "end", outcome, exit_code: exitCode, duration_ms: rounded(durationMs), ...count };
      if (exitCode === 0) log.info(fields, text);
      else log.error(fields, text);
    },
  };
}
