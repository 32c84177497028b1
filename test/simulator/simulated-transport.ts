import { TransportError } from "../../ipmi/errors.ts";
import type { Message, Reply, Transport } from "../../ipmi/transport.ts";
import type { SimulatedBmc } from "./simulated-bmc.ts";

/** Something that goes wrong with a message. */
export interface Fault {
  /** Which messages: name of the command, and more if wanted. */
  readonly on: (message: Message, commandNumber: number) => boolean;
  /** How often; for ever if left out. */
  readonly times?: number;
  readonly effect:
    | { readonly answer: number }
    /** The command is executed, but its answer is replaced by this code. */
    | { readonly answerAfterwards: number }
    /** Nothing is executed, nothing answered. */
    | "lost"
    /** It is executed, but the answer does not arrive. */
    | "reply lost"
    /** The answer has no data. */
    | "cut short";
}

/** The in-band way to a simulated BMC, with faults. */
export class SimulatedTransport implements Transport {
  readonly name = "simulated";
  readonly maxRequestBytes = 270;
  closed = false;
  readonly #bmc: SimulatedBmc;
  readonly #faults: { readonly fault: Fault; left: number }[];
  #commands = 0;

  constructor(bmc: SimulatedBmc, faults: readonly Fault[] = []) {
    this.#bmc = bmc;
    this.#faults = faults.map((fault) => ({ fault, left: fault.times ?? Number.POSITIVE_INFINITY }));
  }

  async exchange(message: Message, signal: AbortSignal): Promise<Reply> {
    if (this.closed) throw new TransportError(this.name, "no", "it is closed");
    if (signal.aborted) throw new TransportError(this.name, "no", "ended", { cause: signal.reason });
    this.#commands += 1;
    const rule = this.#faults.find(({ fault, left }) => left > 0 && fault.on(message, this.#commands));
    if (rule === undefined) return this.#bmc.handle(message);
    rule.left -= 1;
    const { effect } = rule.fault;
    const nothing = new Uint8Array();
    if (effect === "lost") throw new TransportError(this.name, "unknown", "no answer");
    if (typeof effect === "object" && "answer" in effect) {
      // The BMC has seen it, so it counts.
      this.#bmc.log.push("(refused)");
      return { completionCode: effect.answer, data: nothing };
    }
    const reply = this.#bmc.handle(message);
    if (effect === "reply lost") throw new TransportError(this.name, "unknown", "no answer");
    if (effect === "cut short") return { ...reply, data: nothing };
    return { completionCode: effect.answerAfterwards, data: nothing };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
  }
}
