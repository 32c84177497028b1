import type { Clock } from "../../inband/clock.ts";
import { CompletionCode } from "../../ipmi/completion-code.ts";
import { TransportError } from "../../ipmi/errors.ts";
import type { Message, Reply, Transport } from "../../ipmi/transport.ts";
import type { Delivery } from "./delivery.ts";
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

/** How long the kernel's KCS state machine waits for the BMC to give an answer: ipmi_kcs_sm.c, OBF_RETRY_TIMEOUT. */
const driverLimitMs = 5_000;

/** The longest message of the kernel's driver, network function and command included. */
const mostBytes = 272;

/**
 * The in-band way to a simulated BMC, through a driver like the kernel's: it tells answers apart by the message that they
 * are to, and makes codes of its own of what is no answer or does not come.
 */
export class SimulatedTransport implements Transport {
  readonly name = "simulated";
  readonly maxRequestBytes = 270;
  closed = false;
  readonly #bmc: SimulatedBmc;
  readonly #faults: { readonly fault: Fault; left: number }[];
  readonly #clock: Clock | undefined;
  #commands = 0;

  /** @param clock without one all that takes time takes none, and what does not come has not come at once */
  constructor(bmc: SimulatedBmc, faults: readonly Fault[] = [], clock?: Clock) {
    this.#bmc = bmc;
    this.#faults = faults.map((fault) => ({ fault, left: fault.times ?? Number.POSITIVE_INFINITY }));
    this.#clock = clock;
  }

  async exchange(message: Message, signal: AbortSignal): Promise<Reply> {
    if (this.closed) throw new TransportError(this.name, "no", "it is closed");
    if (signal.aborted) throw new TransportError(this.name, "no", "ended", { cause: signal.reason });
    this.#commands += 1;
    const rule = this.#faults.find(({ fault, left }) => left > 0 && fault.on(message, this.#commands));
    if (rule === undefined) return await this.#reply(message, signal);
    rule.left -= 1;
    const { effect } = rule.fault;
    const nothing = new Uint8Array();
    if (effect === "lost") throw new TransportError(this.name, "unknown", "no answer");
    if (typeof effect === "object" && "answer" in effect) {
      // The BMC has seen it, so it counts.
      this.#bmc.log.push("(refused)");
      return { completionCode: effect.answer, data: nothing };
    }
    const reply = await this.#reply(message, signal);
    if (effect === "reply lost") throw new TransportError(this.name, "unknown", "no answer");
    if (effect === "cut short") return { ...reply, data: nothing };
    return { completionCode: effect.answerAfterwards, data: nothing };
  }

  async #reply(message: Message, signal: AbortSignal): Promise<Reply> {
    const clock = this.#clock;
    const arrival = { nowMs: clock?.now() ?? 0, from: "in-band" } as const;
    const answer = this.#bmc.receive(message, arrival).find(({ answers }) => answers === message);
    try {
      if (answer !== undefined) {
        await clock?.sleep(answer.afterMs, signal);
        return asTheDriverTells(message, answer);
      }
      if (clock !== undefined) {
        await clock.sleep(driverLimitMs, signal);
        return { completionCode: CompletionCode.unspecified, data: new Uint8Array() };
      }
    } catch (error) {
      throw new TransportError(this.name, "unknown", "no answer", { cause: error });
    }
    throw new TransportError(this.name, "unknown", "no answer");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
  }
}

/** FFh for an answer to another command, C6h for one that is cut off or too long: ipmi_msghandler.c, ipmi_kcs_sm.c. */
function asTheDriverTells(message: Message, { cmd, body }: Delivery): Reply {
  const nothing = new Uint8Array();
  if (cmd !== message.cmd) return { completionCode: CompletionCode.unspecified, data: nothing };
  const [completionCode, ...data] = body;
  if (completionCode === undefined || body.length + 2 > mostBytes) {
    return { completionCode: CompletionCode.requestTruncated, data: nothing };
  }
  return { completionCode, data: Uint8Array.from(data) };
}
