import type { Clock } from "../clock.ts";
import { turnOfTheEventLoop } from "../turn-of-the-event-loop.ts";
import type { KcsAddress } from "./kcs-address.ts";
import type { PortIo } from "./port-io.ts";

/** Bits of the status register. IPMI 2.0 §9.7, table 9-1. */
export const Status = {
  /** Output buffer full: a byte waits for us. */
  obf: 0x01,
  /** Input buffer full: the BMC has not yet taken the byte that was written last. */
  ibf: 0x02,
} as const;

/** Bits 7:6 of the status register. IPMI 2.0 §9.7, table 9-2. */
export const State = { idle: 0, read: 1, write: 2, error: 3 } as const;
export type State = (typeof State)[keyof typeof State];

const stateNames = ["IDLE", "READ", "WRITE", "ERROR"] as const;

/** Control codes. IPMI 2.0 §9.10, table 9-3. */
export const Control = { getStatusAbort: 0x60, writeStart: 0x61, writeEnd: 0x62, read: 0x68 } as const;

export const stateOf = (status: number): State => (status >> 6) as State;

/** What a port gives behind which nobody is. */
export const nobody = 0xff;

/** "C0h: state ERROR": what a person with the specification wants to see. */
export function describeStatus(status: number): string {
  if (status === nobody) return "status FFh: nobody answers there";
  const bits = [(status & Status.ibf) !== 0 ? ", IBF" : "", (status & Status.obf) !== 0 ? ", OBF" : ""].join("");
  return `status ${status.toString(16).toUpperCase().padStart(2, "0")}h: state ${stateNames[stateOf(status)]}${bits}`;
}

/** The BMC did not do what the flow charts say. The transfer has to be given up by the error exit. */
export class KcsError extends Error {
  override readonly name = "KcsError";
  readonly code = "kcs";
}

/**
 * An access takes 1 to 2 µs on a real board and 35 µs under emulation. After so many of them everything else gets its
 * turn: 2 ms at the worst.
 */
const accessesInARow = 64;

/** Looks at the status before the first pause: a healthy BMC takes a byte within some ten microseconds. */
const looksInARow = 16;

/** So many pauses are turns of the event loop, then the clock is asked for pauses of 1 to 5 ms. */
const shortPauses = 100;
const longestPauseMs = 5;

/** The two registers of a KCS interface, and the waiting for their bits. */
export class KcsRegisters {
  readonly #io: PortIo;
  readonly #data: number;
  readonly #status: number;
  readonly #clock: Clock;
  #accesses = 0;

  constructor(io: PortIo, { port, spacing }: KcsAddress, clock: Clock) {
    this.#io = io;
    this.#data = port;
    this.#status = port + spacing;
    this.#clock = clock;
  }

  readStatus(): number {
    return this.#read(this.#status);
  }

  /** Data_Out; clears OBF. */
  readData(): number {
    return this.#read(this.#data);
  }

  writeData(value: number): void {
    this.#write(this.#data, value);
  }

  writeCommand(code: number): void {
    this.#write(this.#status, code);
  }

  /**
   * Waits until the status is as wanted.
   * @param what ends the sentence "the BMC did not ..."
   * @returns the status then
   * @throws KcsError after `limitMs`; the signal's reason; whatever PortIo throws
   */
  async until(what: string, isSo: (status: number) => boolean, limitMs: number, signal: AbortSignal): Promise<number> {
    const startedAt = this.#clock.now();
    for (let pauses = 0; ; pauses += 1) {
      let status = 0;
      for (let looks = 0; looks < looksInARow; looks += 1) {
        status = this.readStatus();
        if (!isSo(status)) continue;
        if (this.#accesses >= accessesInARow) await this.#pause(0, signal);
        return status;
      }
      const waitedMs = this.#clock.now() - startedAt;
      if (waitedMs >= limitMs) {
        throw new KcsError(`the BMC did not ${what} within ${Math.round(waitedMs)} ms (${describeStatus(status)})`);
      }
      await this.#pause(pauses, signal);
    }
  }

  async #pause(pauses: number, signal: AbortSignal): Promise<void> {
    this.#accesses = 0;
    if (pauses < shortPauses) return await turnOfTheEventLoop(signal);
    await this.#clock.sleep(Math.min(1 + Math.floor((pauses - shortPauses) / 8), longestPauseMs), signal);
  }

  #read(port: number): number {
    this.#accesses += 1;
    return this.#io.read(port);
  }

  #write(port: number, value: number): void {
    this.#accesses += 1;
    this.#io.write(port, value);
  }
}
