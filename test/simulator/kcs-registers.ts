import type { PortIo } from "../../inband/kcs/port-io.ts";

/** What the machine is to get for a request `netFn<<2|lun, cmd, data...`. */
export interface KcsAnswer {
  /** The whole answer: `(netFn+1)<<2|lun, cmd, completion code, data...`; undefined: none ever comes. */
  readonly bytes: Uint8Array | undefined;
  /** Milliseconds until its first byte lies in the output register. */
  readonly delayMs: number;
}

export interface KcsRegistersOptions {
  /** Executes a request of at least two bytes. */
  readonly answer: (request: Uint8Array) => KcsAnswer;
  /** Milliseconds, of any start. Time passes for the BMC only when the machine looks. */
  readonly now: () => number;
  /** I/O port of the data registers; 0xca2 by default. */
  readonly base?: number;
  /** Distance to the status and command register; 1 by default. */
  readonly spacing?: number;
  /** Milliseconds for which IBF stays set after each byte that the machine writes; 0 by default. */
  readonly byteMs?: number;
  /** The longest request it takes in, bytes; 272 by default. */
  readonly maxRequestBytes?: number;
}

/** Control codes. IPMI 2.0 §9.10, table 9-3. */
const Code = { abort: 0x60, writeStart: 0x61, writeEnd: 0x62, read: 0x68 } as const;

/** Bits 7:6 of the status register. IPMI 2.0 §9.7, table 9-2. */
const State = { idle: 0x00, read: 0x40, write: 0x80, error: 0xc0 } as const;
const COMMAND = 0x08;
const ATTENTION = 0x04;
const IBF = 0x02;
const OBF = 0x01;

/** Interface status codes. IPMI 2.0 §9.11, table 9-4. */
export const KcsStatus = { none: 0x00, aborted: 0x01, illegalCode: 0x02, length: 0x06, unspecified: 0xff } as const;

/** What the BMC expects next. */
type Phase = "idle" | "writing" | "last byte" | "waiting" | "reading" | "abort asked" | "status given" | "error";

/**
 * The BMC's side of a KCS interface, at its two registers. IPMI 2.0 §9. Strict: a control code that does not fit, or a byte
 * while IBF is still set, leads to the error state, until GET_STATUS/ABORT or a new WRITE_START comes. §9.14
 */
export class KcsRegisters implements PortIo {
  readonly path = "simulated KCS";
  /** Says that something waits for the machine (SMS_ATN). */
  attention = false;
  /** As with a BMC that hangs: IBF never clears, nothing is taken in. */
  hung = false;
  readonly #options: KcsRegistersOptions;
  readonly #base: number;
  readonly #commandPort: number;
  #phase: Phase = "idle";
  #state: number = State.idle;
  #lastWasCommand = false;
  #busyUntil = Number.NEGATIVE_INFINITY;
  #request: number[] = [];
  /** What goes out, the byte in the register included; while `waiting`, from `#dueAt` on. */
  #out: number[] = [];
  #register = 0;
  #full = false;
  #dueAt = Number.POSITIVE_INFINITY;
  #status: number = KcsStatus.none;
  closed = false;

  constructor(options: KcsRegistersOptions) {
    this.#options = options;
    this.#base = options.base ?? 0xca2;
    this.#commandPort = this.#base + (options.spacing ?? 1);
  }

  read(port: number): number {
    if (port === this.#commandPort) return this.#statusRegister();
    if (port !== this.#base) return 0xff;
    this.#settle();
    this.#full = false;
    return this.#register;
  }

  write(port: number, value: number): void {
    if (port !== this.#base && port !== this.#commandPort) return;
    this.#settle();
    if (this.hung) return;
    const busy = this.#isBusy();
    this.#lastWasCommand = port === this.#commandPort;
    this.#busyUntil = this.#options.now() + (this.#options.byteMs ?? 0);
    if (busy) this.#fail(KcsStatus.unspecified);
    else if (this.#lastWasCommand) this.#command(value);
    else this.#data(value);
  }

  close(): void {
    this.closed = true;
  }

  #statusRegister(): number {
    this.#settle();
    return (
      this.#state |
      (this.#lastWasCommand ? COMMAND : 0) |
      (this.attention ? ATTENTION : 0) |
      (this.#isBusy() ? IBF : 0) |
      (this.#full ? OBF : 0)
    );
  }

  #isBusy(): boolean {
    return this.hung || this.#options.now() < this.#busyUntil;
  }

  /** Lets happen what was due in the meantime. */
  #settle(): void {
    if (this.#phase !== "waiting" || this.#options.now() < this.#dueAt) return;
    this.#phase = "reading";
    this.#next();
  }

  #command(code: number): void {
    if (code === Code.writeStart) {
      this.#enter("writing", State.write);
      this.#request = [];
      this.#full = false;
    } else if (code === Code.writeEnd && this.#phase === "writing") {
      this.#enter("last byte", State.write);
    } else if (code === Code.abort) {
      if (this.#phase !== "error") this.#status = this.#phase === "idle" ? KcsStatus.none : KcsStatus.aborted;
      this.#enter("abort asked", State.write);
      this.#full = false;
    } else {
      this.#fail(KcsStatus.illegalCode);
    }
  }

  #data(value: number): void {
    switch (this.#phase) {
      case "writing":
      case "last byte":
        this.#take(value);
        break;
      case "reading":
        if (value === Code.read) this.#next();
        else this.#fail(KcsStatus.illegalCode);
        break;
      case "abort asked":
        this.#enter("status given", State.read);
        this.#put(this.#status);
        break;
      case "status given":
        this.#status = KcsStatus.none;
        this.#enter("idle", State.idle);
        this.#put(0);
        break;
      case "idle":
      case "waiting":
      case "error":
        this.#fail(KcsStatus.illegalCode);
        break;
      default:
        throw this.#phase satisfies never;
    }
  }

  #take(value: number): void {
    this.#request.push(value);
    const isLast = this.#phase === "last byte";
    // A request is at least network function and command. §9.2
    const fits =
      this.#request.length <= (this.#options.maxRequestBytes ?? 272) && (!isLast || this.#request.length >= 2);
    if (!fits) this.#fail(KcsStatus.length);
    else if (isLast) this.#execute();
  }

  #execute(): void {
    const { bytes, delayMs } = this.#options.answer(Uint8Array.from(this.#request));
    this.#enter("waiting", State.read);
    this.#out = [...(bytes ?? [])];
    this.#dueAt = bytes === undefined ? Number.POSITIVE_INFINITY : this.#options.now() + delayMs;
  }

  /** The next byte of the answer; after the last one idle, with a byte that means nothing. §9.15 */
  #next(): void {
    const byte = this.#out.shift();
    if (byte === undefined) this.#enter("idle", State.idle);
    this.#put(byte ?? 0);
  }

  #put(byte: number): void {
    this.#register = byte;
    this.#full = true;
  }

  #enter(phase: Phase, state: number): void {
    this.#phase = phase;
    this.#state = state;
  }

  #fail(status: number): void {
    this.#status = status;
    this.#out = [];
    this.#enter("error", State.error);
    this.#full = false;
  }
}
