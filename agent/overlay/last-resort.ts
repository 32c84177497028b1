import { ExitCode } from "../../proto/exit-code.ts";
import type { LogFormat } from "../config/settings.ts";
import { LibcTimer } from "../init/libc-timer.ts";
import type { MakeTimer } from "../init/stuck.ts";

/** How much longer than its limit a run may take: it ends a command that is under way, and tells the service. */
const graceMs = 10_000;
/** The words on the console come first. */
const readableMs = 500;

/**
 * Ends this process in any case: by timers of libc, which also come when JavaScript hangs. A thread that a driver holds ends
 * as soon as the kernel lets go of it.
 */
export class LastResort {
  readonly #makeTimer: MakeTimer;
  readonly #tell: ReturnType<MakeTimer>;
  readonly #end: ReturnType<MakeTimer>;

  constructor(format: LogFormat, makeTimer: MakeTimer = (call) => new LibcTimer(call)) {
    this.#makeTimer = makeTimer;
    const text = "metal-rivet did not end within its limit: it is ended, so that the machine's init goes on";
    const line =
      format === "json" ? JSON.stringify({ level: "error", event: "problem", msg: text }) : `      ERROR ${text}`;
    this.#tell = makeTimer({ name: "puts", text: Buffer.from(`${line}\0`) });
    this.#end = makeTimer({ name: "_exit", argument: ExitCode.temporary });
  }

  /** `leftMs`: what is left of the run's limit. A limit that is set again takes the place of the one before. */
  set(leftMs: number): void {
    const ms = Math.max(leftMs, 0) + graceMs;
    this.#tell.set(ms);
    this.#end.set(ms + readableMs);
  }

  /** The run is over: what hangs now (a thread that reads a file of a server that is gone) is not waited for. */
  endSoon(exitCode: number): void {
    const never = 0; // timer_settime(2): disarmed
    this.#tell.set(never);
    this.#end.set(never);
    this.#makeTimer({ name: "_exit", argument: exitCode }).set(readableMs);
  }
}
