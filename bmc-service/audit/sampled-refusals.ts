import { StoreError } from "../store/store-error.ts";
import type { AuditedCall, AuditLog } from "./audit-trail.ts";

/** Refusals of one caller that are written one by one in a minute; what comes after them is counted. */
const refusalsPerMinute = 20;
const minuteMs = 60_000;

interface Window {
  readonly caller: Pick<AuditedCall, "actor" | "role" | "from">;
  readonly timer: NodeJS.Timeout;
  written: number;
  /** How often each action was refused besides. */
  readonly leftOut: Map<string, number>;
}

/** Refused calls: whoever may do little must not fill the audit log with what they may not. Nothing was changed or shown by them. */
export class SampledRefusals implements AsyncDisposable {
  readonly #log: AuditLog;
  readonly #limit: number;
  /** Called if a number could not be written down. */
  readonly #failed: (error: StoreError) => void;
  readonly #windows = new Map<string, Window>();

  constructor(log: AuditLog, failed: (error: StoreError) => void, limit = refusalsPerMinute) {
    this.#log = log;
    this.#limit = limit;
    this.#failed = failed;
  }

  /** Whether a refused call gets an entry of its own; else it is counted. */
  takes({ actor, role, action, from }: AuditedCall): boolean {
    const caller = `${role} ${actor}`;
    const window = this.#windows.get(caller) ?? this.#open(caller, { actor, role, from });
    if (window.written < this.#limit) {
      window.written += 1;
      return true;
    }
    window.leftOut.set(action, (window.leftOut.get(action) ?? 0) + 1);
    return false;
  }

  #open(caller: string, by: Window["caller"]): Window {
    const timer = setTimeout(() => void this.#close(caller), minuteMs).unref();
    const window = { caller: by, timer, written: 0, leftOut: new Map<string, number>() };
    this.#windows.set(caller, window);
    return window;
  }

  async #close(caller: string): Promise<void> {
    const window = this.#windows.get(caller);
    if (window === undefined) return;
    clearTimeout(window.timer);
    this.#windows.delete(caller);
    if (window.leftOut.size === 0) return;
    const counted = [...window.leftOut].map(([action, count]) => `${action} ${count}`).join(", ");
    const detail = `besides those that have an entry, within a minute: ${counted}`;
    const entry = { ...window.caller, action: "RefusedCalls", subject: "", detail, result: "REFUSED" };
    try {
      await this.#log.appendAudit({ ...entry, at: new Date() });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#failed(error);
    }
  }

  /** Writes down what was counted so far. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#windows.keys()].map((caller) => this.#close(caller)));
  }
}
