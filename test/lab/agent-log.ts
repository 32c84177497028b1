import { exitReason, type FollowedMachine } from "./machine.ts";

/** A step of the run as the agent told it. Duration in milliseconds. */
export interface ToldStep {
  readonly step: string;
  readonly number: number;
  readonly of: number;
  readonly durationMs: number;
  /** What came out, or why it failed. */
  readonly detail: string;
  readonly ok: boolean;
}

/** What one line of the agent's JSON log (`rivet.log=json`) says. */
export type Told =
  | { readonly kind: "first"; readonly text: string }
  | { readonly kind: "init"; readonly task: string; readonly durationMs: number; readonly detail: string }
  | { readonly kind: "step"; readonly step: ToldStep }
  | { readonly kind: "note" | "problem"; readonly text: string }
  | {
      readonly kind: "end";
      /** "linked", "recognised", "unmanaged", "failed", ... of agent/outcome.ts, or "error". */
      readonly outcome: string;
      readonly exitCode: number;
      readonly text: string;
      /** Milliseconds of the run alone, as the agent measured them. */
      readonly durationMs: number;
      /** As the agent counted them. */
      readonly ipmiCommands: number | undefined;
    };

/** @returns undefined for a line that is not the agent's (kernel, firmware), and for the start of a step */
export function parseAgentLine(line: string): Told | undefined {
  const fields = jsonObject(line);
  if (fields === undefined) return undefined;
  const text = (name: string) => {
    const value = fields[name];
    return typeof value === "string" ? value : "";
  };
  const number = (name: string) => {
    const value = fields[name];
    return typeof value === "number" ? value : undefined;
  };
  switch (fields.event) {
    case "first":
    case "note":
    case "problem":
      return { kind: fields.event, text: text("msg") };
    case "init":
      return { kind: "init", task: text("task"), durationMs: number("duration_ms") ?? 0, detail: text("detail") };
    case "step": {
      if (fields.status === "started") return undefined;
      const ok = fields.status === "done";
      const detail = text(ok ? "detail" : "reason");
      const position = { step: text("step"), number: number("number") ?? 0, of: number("of") ?? 0 };
      return { kind: "step", step: { ...position, durationMs: number("duration_ms") ?? 0, detail, ok } };
    }
    case "end": {
      const exitCode = number("exit_code") ?? Number.NaN;
      const durationMs = number("duration_ms") ?? Number.NaN;
      const ipmiCommands = number("ipmi_commands");
      return { kind: "end", outcome: text("outcome"), exitCode, text: text("msg"), durationMs, ipmiCommands };
    }
    default:
      return undefined;
  }
}

function jsonObject(line: string): { readonly [name: string]: unknown } | undefined {
  // The kernel may have left its own words on the line.
  const start = line.indexOf('{"');
  if (start < 0) return undefined;
  try {
    const value: unknown = JSON.parse(line.slice(start));
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** How a boot ended, as the agent told it on the console. */
export interface BootResult {
  readonly outcome: string;
  readonly exitCode: number;
  /** For people. */
  readonly text: string;
  readonly steps: readonly ToldStep[];
  /** Everything that it told, in order. */
  readonly told: readonly Told[];
  /** Milliseconds since `followBoot` was called. */
  readonly durationMs: number;
  /** Milliseconds of the run alone, without firmware, kernel and init. */
  readonly runMs: number;
}

export interface FollowOptions {
  /** For the whole boot, in milliseconds. */
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onTold?: (told: Told) => void;
}

/**
 * Reads the machine's console until the agent tells how it ended.
 * @throws DeadlineError or Error, with the end of the serial log, if it does not tell
 */
export async function followBoot(machine: FollowedMachine, options: FollowOptions): Promise<BootResult> {
  const started = performance.now();
  const told: Told[] = [];
  const end = await machine.console.waitFor(
    `the agent's last word on ${machine.name}`,
    options.limitMs,
    (line) => {
      const said = parseAgentLine(line);
      if (said === undefined) return undefined;
      told.push(said);
      options.onTold?.(said);
      return said.kind === "end" ? said : undefined;
    },
    { signal: options.signal, ended: () => exitReason(machine) },
  );
  return {
    outcome: end.outcome,
    exitCode: end.exitCode,
    text: end.text,
    steps: told.flatMap((said) => (said.kind === "step" ? [said.step] : [])),
    told,
    durationMs: performance.now() - started,
    runMs: end.durationMs,
  };
}
