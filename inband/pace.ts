import type { Clock } from "./clock.ts";
import type { Note } from "./note.ts";

/** The longest pause after a write, in milliseconds: Quanta S99Q, the slowest that is known, needs 3 s. */
const longestPauseMs = 5_000;

/** The first pause where a write got lost, in milliseconds: what FreeIPMI's bmc-config leaves to every BMC. */
const pauseAfterLossMs = 1_000;

/**
 * How fast one BMC can be spoken to, as its answers show; all conversations with it share one.
 *
 * A BMC that answers at once costs nothing. Where the first command after a write was answered "busy", or a write was
 * lost, every later write is followed by a pause as long as the BMC needed: Quanta S99Q and Dell FS12-TY hang if writes go
 * on without one. The pause grows and never shrinks: a run has about six writes, and a pause too many costs less
 * than a BMC that hangs.
 */
export class Pace {
  /** For how long the BMC may be silent or restart in the middle, over all conversations, in milliseconds. */
  readonly returnLimitMs: number;
  /** Tells what is waited for, and what was learnt. */
  readonly note: Note;
  #waitedForReturnMs = 0;
  #pauseMs = 0;
  #writtenAt: number | undefined;
  #losesWrites = false;

  constructor(returnLimitMs: number, note: Note = () => undefined) {
    this.returnLimitMs = returnLimitMs;
    this.note = note;
  }

  /** The pause after each write, in milliseconds; 0 as long as the BMC has not shown that it needs one. */
  get pauseMs(): number {
    return this.#pauseMs;
  }

  /** Whether a write was lost: the next one may be as well. */
  get losesWrites(): boolean {
    return this.#losesWrites;
  }

  /** When the last command was a write: the time of its end. */
  get writtenAt(): number | undefined {
    return this.#writtenAt;
  }

  /** How long the BMC was away up to now. */
  get waitedForReturnMs(): number {
    return this.#waitedForReturnMs;
  }

  /** What is left of `returnLimitMs`. */
  get leftForReturnMs(): number {
    return this.returnLimitMs - this.#waitedForReturnMs;
  }

  /** For how long the next command has to wait. */
  pauseLeftMs(clock: Clock): number {
    return this.#writtenAt === undefined ? 0 : Math.max(0, this.#writtenAt + this.#pauseMs - clock.now());
  }

  /** Waits as long as the BMC needs after a write. */
  async beforeCommand(clock: Clock, signal: AbortSignal): Promise<void> {
    const leftMs = this.pauseLeftMs(clock);
    if (leftMs > 0) await clock.sleep(leftMs, signal);
  }

  /** A command has ended, not with "busy". */
  ended(effect: "read" | "write", clock: Clock): void {
    this.#writtenAt = effect === "write" ? clock.now() : undefined;
  }

  /** The BMC was busy from a write until now. */
  settled(writtenAt: number, clock: Clock): void {
    this.#lengthenTo(clock.now() - writtenAt);
  }

  /** A write that the BMC had acknowledged was not there when it was read back (Supermicro H8QME). */
  writeWasLost(): void {
    this.#losesWrites = true;
    this.#lengthenTo(Math.max(pauseAfterLossMs, 2 * this.#pauseMs));
  }

  #lengthenTo(ms: number): void {
    const pauseMs = Math.min(ms, longestPauseMs);
    if (pauseMs <= this.#pauseMs) return;
    this.#pauseMs = pauseMs;
    this.note(`The BMC needs time after a write: ${(pauseMs / 1000).toFixed(1)} s are left to it from now on.`);
  }

  waitedForReturn(ms: number): void {
    this.#waitedForReturnMs += ms;
  }
}
