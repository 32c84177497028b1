import type { SimulatedMachine } from "./machine.ts";

/** A step of the run as the agent told it. */
export interface ToldStep {
  readonly step: string;
  readonly number: number;
  readonly of: number;
  readonly durationMs: number;
  /** What came out, or why it failed. */
  readonly detail: string;
  readonly ok: boolean;
}

/** How a boot ended, as the agent told it on the console. */
export interface BootResult {
  /** "linked", "recognised", "unmanaged", "failed", ... of agent/outcome.ts, or "error". */
  readonly outcome: string;
  readonly exitCode: number | undefined;
  /** For people. */
  readonly text: string;
  readonly steps: readonly ToldStep[];
  /** Milliseconds since `followBoot` was called. */
  readonly durationMs: number;
}

/** What one line of the agent's JSON log says. */
export type Told =
  | { readonly kind: "step"; readonly step: ToldStep }
  | { readonly kind: "end"; readonly outcome: string; readonly exitCode: number | undefined; readonly text: string }
  | { readonly kind: "note"; readonly text: string };

/** @returns undefined for a line that is not the agent's (kernel, firmware), or that is of no interest */
export function parseAgentLine(line: string): Told | undefined {
  const start = line.indexOf("{");
  if (start < 0) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line.slice(start));
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const fields = new Map<string, unknown>(Object.entries(value));
  const text = (name: string) => {
    const found = fields.get(name);
    return typeof found === "string" ? found : undefined;
  };
  const number = (name: string) => {
    const found = fields.get(name);
    return typeof found === "number" ? found : undefined;
  };
  const step = text("step");
  const kind = text("kind");
  if (step !== undefined && (kind === "done" || kind === "failed")) {
    return {
      kind: "step",
      step: {
        step,
        number: number("number") ?? 0,
        of: number("of") ?? 0,
        durationMs: number("durationMs") ?? 0,
        detail: text(kind === "done" ? "detail" : "reason") ?? "",
        ok: kind === "done",
      },
    };
  }
  const outcome = text("outcome");
  if (outcome !== undefined) return { kind: "end", outcome, exitCode: number("exitCode"), text: text("msg") ?? "" };
  const message = text("msg");
  return message === undefined || kind === "started" ? undefined : { kind: "note", text: message };
}

export interface FollowOptions {
  /** For the whole boot. */
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly onStep?: (step: ToldStep) => void;
  /** Everything else that the agent tells. */
  readonly onNote?: (text: string) => void;
}

/**
 * Reads the machine's console until the agent tells how it ended.
 * @throws DeadlineError or Error, with the end of the serial log, if it does not tell
 */
export async function followBoot(machine: SimulatedMachine, options: FollowOptions): Promise<BootResult> {
  const started = performance.now();
  const steps: ToldStep[] = [];
  const end = await machine.console.waitFor(
    `the agent's last word on ${machine.name}`,
    options.limitMs,
    (line) => {
      const told = parseAgentLine(line);
      if (told === undefined) return undefined;
      switch (told.kind) {
        case "step":
          steps.push(told.step);
          options.onStep?.(told.step);
          return undefined;
        case "note":
          options.onNote?.(told.text);
          return undefined;
        case "end":
          return told;
        default:
          return told satisfies never;
      }
    },
    { signal: options.signal, ended: () => machine.trouble ?? (machine.isOn ? undefined : "the machine went off") },
  );
  const { outcome, exitCode, text } = end;
  return { outcome, exitCode, text, steps, durationMs: performance.now() - started };
}
