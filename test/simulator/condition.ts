import { CompletionCode } from "../../ipmi/completion-code.ts";
import type { TimingProfile } from "./profile.ts";

/** What a BMC does instead of executing a message; undefined if it executes it. */
export type Hindrance = { readonly completionCode: number } | "silence" | undefined;

/** Whether a BMC is there, ready, busy or hanging. Times are milliseconds on the clock of the messages. */
export class Condition {
  readonly #timing: TimingProfile;
  /** When the first message came, or the last reset ended. */
  #startedMs: number | undefined;
  #bootAnswers = 0;
  #busyUntilMs = Number.NEGATIVE_INFINITY;
  #networkUntilMs = Number.NEGATIVE_INFINITY;
  #silentUntilMs = Number.NEGATIVE_INFINITY;
  #lastWriteMs = Number.NEGATIVE_INFINITY;
  #quickWrites = 0;
  #initializing = false;

  constructor(timing: TimingProfile) {
    this.#timing = timing;
  }

  /** Whether Get Device ID is to say "firmware update or initialization in progress". */
  get initializing(): boolean {
    return this.#initializing;
  }

  /** Whether it is there at all: not switched off by a reset, not hanging. */
  isAlive(nowMs: number): boolean {
    return nowMs >= this.#silentUntilMs;
  }

  /** Looks before a message is executed. */
  hinders(nowMs: number, onUsers: boolean, write: boolean): Hindrance {
    this.#initializing = false;
    if (nowMs < this.#silentUntilMs) return "silence";
    this.#startedMs ??= nowMs;
    const { boot } = this.#timing;
    if (boot !== undefined && nowMs - this.#startedMs < boot.ms) {
      const answer = boot.codes[this.#bootAnswers % boot.codes.length] ?? "silence";
      this.#bootAnswers += 1;
      if (answer === "silence") return answer;
      this.#initializing = answer === "update";
      return answer === "update" ? undefined : { completionCode: answer };
    }
    if (write && this.#hangs(nowMs)) return "silence";
    if (nowMs < this.#networkUntilMs) return { completionCode: CompletionCode.responseNotProvided };
    if (onUsers && nowMs < this.#busyUntilMs) return { completionCode: CompletionCode.nodeBusy };
    return undefined;
  }

  /** Whether the network has given the BMC its address. */
  hasAddress(nowMs: number): boolean {
    return nowMs - (this.#startedMs ?? nowMs) >= (this.#timing.addressAfterMs ?? 0);
  }

  /** After a write was executed. */
  written(nowMs: number): void {
    this.#busyUntilMs = nowMs + (this.#timing.busyAfterWriteMs ?? 0);
  }

  restartNetwork(untilMs: number): void {
    this.#networkUntilMs = untilMs;
  }

  /** The BMC goes away, and boots again afterwards. */
  reset(nowMs: number, downMs: number): void {
    this.#silentUntilMs = nowMs + downMs;
    this.#startedMs = undefined;
    this.#bootAnswers = 0;
    this.#busyUntilMs = Number.NEGATIVE_INFINITY;
    this.#networkUntilMs = Number.NEGATIVE_INFINITY;
    this.#quickWrites = 0;
  }

  /** Refused writes count too: it is the hammering that some BMCs do not stand. */
  #hangs(nowMs: number): boolean {
    const { hang } = this.#timing;
    if (hang === undefined) return false;
    this.#quickWrites = nowMs - this.#lastWriteMs < hang.pauseMs ? this.#quickWrites + 1 : 1;
    this.#lastWriteMs = nowMs;
    if (this.#quickWrites <= hang.writes) return false;
    this.#silentUntilMs = nowMs + hang.ms;
    this.#quickWrites = 0;
    return true;
  }
}
