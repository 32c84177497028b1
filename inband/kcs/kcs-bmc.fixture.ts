import type { KcsAddress } from "./kcs-address.ts";
import { Control, nobody, State, Status } from "./kcs-registers.ts";
import type { PortIo } from "./port-io.ts";

/** Where the BMC's side can go wrong. */
export type Phase = "start" | "byte" | "end" | "last" | "reply" | "abort";

/** How a BMC behaves beyond the specification. All of it may be changed while it runs. */
export interface KcsHabits {
  /** How often the status is read before the BMC takes a byte, or gives one; counted anew each time. */
  delay: () => number;
  /** How often the status is read before the reply is ready. */
  replyDelay: () => number;
  /** Goes to ERROR in this phase; asked each time. */
  fails: (phase: Phase) => boolean;
  /** Never takes the byte of this phase: IBF stays. */
  hangs: (phase: Phase) => boolean;
  /** Has READ in the state bits and no byte: OBF stays away. */
  givesNothing: boolean;
  /** What keeps the host waiting until the reply is ready: IBF, the state WRITE, or READ without a byte. */
  waitsBy: "IBF" | "WRITE" | "READ";
  /** Takes the last READ before it becomes idle, the wrong way round. */
  lateIdle: boolean;
  /** Ends its replies with a dummy byte, as the chart says. */
  dummyByte: boolean;
  /** Gives the reply of an aborted request to the next one. */
  keepsAborted: boolean;
  /** Nobody is there: FFh. */
  absent: boolean;
  errorStatus: number;
}

/** The BMC's side of the registers, as the flow charts of IPMI 2.0 §9.15 want it. Anything out of order throws. */
export class KcsBmc implements PortIo {
  readonly path = "/dev/fake-port";
  readonly address: KcsAddress;
  readonly habits: KcsHabits;
  /** Whole requests, in their order. */
  readonly requests: number[][] = [];
  /** How often the host aborted. */
  aborts = 0;
  closed = 0;
  #state: State = State.idle;
  #ibf = false;
  #obf = false;
  #output = 0;
  #written: number[] = [];
  #reply: number[] = [];
  #phase: Phase = "start";
  /** Replies to requests that were aborted. */
  readonly #kept: number[][] = [];
  #executing: number[] | undefined;
  #pending: { looks: number; work: () => void } | undefined;
  readonly #answer: (request: number[]) => number[];

  constructor(answer: (request: number[]) => number[], habits: Partial<KcsHabits> = {}, address?: KcsAddress) {
    this.#answer = answer;
    this.address = address ?? { port: 0xca2, spacing: 1 };
    const never = (): boolean => false;
    const good = { delay: () => 0, replyDelay: () => 0, fails: never, hangs: never, givesNothing: false };
    this.habits = {
      ...good,
      waitsBy: "IBF",
      lateIdle: false,
      dummyByte: true,
      keepsAborted: false,
      absent: false,
      errorStatus: 0,
      ...habits,
    };
  }

  get isIdle(): boolean {
    return this.#state === State.idle && this.#pending === undefined;
  }

  /** What the BMC is busy with is done at the next look. */
  hurry(): void {
    if (this.#pending !== undefined) this.#pending.looks = 0;
  }

  read(port: number): number {
    const isStatus = this.#isStatus(port);
    if (this.habits.absent) return nobody;
    if (!isStatus) {
      this.#obf = false;
      return this.#output;
    }
    const status = (this.#state << 6) | (this.#ibf ? Status.ibf : 0) | (this.#obf ? Status.obf : 0);
    if (this.#pending !== undefined) {
      this.#pending.looks -= 1;
      if (this.#pending.looks < 0) {
        const { work } = this.#pending;
        this.#pending = undefined;
        work();
      }
    }
    return status;
  }

  write(port: number, value: number): void {
    const isCommand = this.#isStatus(port);
    if (this.habits.absent) return;
    const isAbort = isCommand && value === Control.getStatusAbort;
    if (this.#ibf && !isAbort) throw new Error("the host wrote although IBF was set");
    this.#ibf = true;
    if (isAbort) this.aborts += 1;
    this.#pending = { looks: this.habits.delay(), work: () => this.#take(isCommand, value) };
  }

  close(): void {
    this.closed += 1;
  }

  #isStatus(port: number): boolean {
    if (port === this.address.port + this.address.spacing) return true;
    if (port === this.address.port) return false;
    throw new Error(`port ${port} is not of this interface`);
  }

  #take(isCommand: boolean, value: number): void {
    const phase = isCommand ? phaseOf(value) : this.#phase;
    if (phase !== undefined && this.habits.hangs(phase)) return;
    if (phase !== undefined && this.habits.fails(phase)) this.#become(State.error);
    else if (isCommand) this.#command(value);
    else this.#data(value);
  }

  #command(code: number): void {
    switch (code) {
      case Control.getStatusAbort:
        if (this.#executing !== undefined && this.habits.keepsAborted) this.#kept.push(this.#answer(this.#executing));
        this.#executing = undefined;
        this.#phase = "abort";
        this.#become(State.error);
        break;
      case Control.writeStart:
        this.#written = [];
        this.#phase = "byte";
        this.#become(State.write);
        break;
      case Control.writeEnd:
        this.#phase = "last";
        this.#become(State.write);
        break;
      default:
        throw new Error(`control code ${code} is none`);
    }
  }

  #data(value: number): void {
    switch (this.#phase) {
      case "byte":
        this.#written.push(value);
        this.#become(State.write);
        break;
      case "last":
        this.#begin([...this.#written, value]);
        break;
      case "abort":
        this.#reply = [this.habits.errorStatus];
        this.#phase = "reply";
        this.#give();
        break;
      case "reply":
        if (value !== Control.read) throw new Error(`the host wrote ${value} instead of READ`);
        this.#give();
        break;
      default:
        throw new Error(`data in phase ${this.#phase}`);
    }
  }

  #begin(request: number[]): void {
    this.requests.push(request);
    this.#phase = "reply";
    this.#executing = request;
    const work = (): void => {
      const own = this.#answer(request);
      this.#executing = undefined;
      this.#reply = this.#kept.shift() ?? own;
      this.#give();
    };
    if (this.habits.waitsBy !== "IBF") this.#become(State[this.habits.waitsBy === "READ" ? "read" : "write"]);
    this.#pending = { looks: this.habits.replyDelay(), work };
  }

  /** The next byte of the reply, or the end. OBF may come later than the state. */
  #give(): void {
    const next = this.#reply.shift();
    if (next === undefined) {
      this.#end();
      return;
    }
    this.#become(State.read);
    if (this.habits.givesNothing) return;
    const work = (): void => this.#put(next);
    this.#pending = { looks: this.habits.delay(), work };
  }

  #end(): void {
    this.#phase = "start";
    const work = (): void => {
      this.#become(State.idle);
      if (this.habits.dummyByte) this.#put(0);
    };
    if (!this.habits.lateIdle) {
      work();
      return;
    }
    this.#ibf = false;
    this.#pending = { looks: 1, work };
  }

  #put(byte: number): void {
    this.#output = byte;
    this.#obf = true;
  }

  #become(state: State): void {
    this.#state = state;
    this.#ibf = false;
  }
}

function phaseOf(code: number): Phase | undefined {
  switch (code) {
    case Control.writeStart:
      return "start";
    case Control.writeEnd:
      return "end";
    case Control.getStatusAbort:
      return "abort";
    default:
      return undefined;
  }
}
