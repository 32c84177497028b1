import { TransportError } from "../../ipmi/errors.ts";
import type { Message, Reply, Transport } from "../../ipmi/transport.ts";
import type { Clock } from "../clock.ts";
import { turnOfTheEventLoop } from "../turn-of-the-event-loop.ts";
import type { DeviceReply, IpmiDevice } from "./ipmi-device.ts";

/** IPMI_MAX_MSG_LENGTH of Linux (272), less the network function and command that the driver puts in front. */
const maxRequestBytes = 270;

/**
 * A healthy BMC takes 1 to 50 ms for an answer. For so long the thread waits in the kernel, which wakes it at once, in
 * slices between which everything else gets its turn. A timer of the event loop would come milliseconds late, a hundred
 * times in an enrolment.
 */
const sliceMs = 2;
const slices = 25;

/** From then on it sleeps between looks, in milliseconds. */
const firstSleepMs = 1;
const longestSleepMs = 5;

/**
 * The kernel's IPMI driver as a transport. It blocks the event loop for 2 ms at most, and for 50 ms of a command in all.
 * The driver retries on the interface itself and, when it gives up, answers with a completion code (FFh, C3h) after up
 * to a minute; a caller who will not wait so long ends the wait by the signal, and the late reply is dropped then.
 */
export class OpenIpmiTransport implements Transport {
  readonly name: string;
  readonly maxRequestBytes = maxRequestBytes;
  readonly #device: IpmiDevice;
  readonly #clock: Clock;
  #lastId = 0;
  #busy = false;
  #closed = false;

  constructor(device: IpmiDevice, clock: Clock) {
    this.name = `openipmi:${device.path}`;
    this.#device = device;
    this.#clock = clock;
  }

  async exchange(message: Message, signal: AbortSignal): Promise<Reply> {
    if (this.#closed) throw new TransportError(this.name, "no", "it is closed");
    if (this.#busy) throw new TransportError(this.name, "no", "another exchange is under way");
    if (signal.aborted) {
      throw new TransportError(this.name, "no", "ended before it was sent", { cause: signal.reason });
    }
    this.#busy = true;
    try {
      this.#lastId += 1;
      const id = this.#lastId;
      this.#attempt("no", () => this.#device.send(id, message));
      return this.#reply(await this.#waitFor(id, message, signal));
    } finally {
      this.#busy = false;
    }
  }

  async #waitFor(id: number, message: Message, signal: AbortSignal): Promise<DeviceReply> {
    const startedAt = this.#clock.now();
    for (let turn = 0; ; turn += 1) {
      for (;;) {
        const reply = this.#attempt("unknown", () => this.#device.receive());
        if (reply === undefined) break;
        if (reply.id === id && reply.netFn === (message.netFn | 1) && reply.cmd === message.cmd) return reply;
      }
      try {
        if (turn < slices) {
          this.#device.wait(sliceMs);
          await turnOfTheEventLoop(signal);
        } else {
          await this.#clock.sleep(Math.min(firstSleepMs + Math.floor((turn - slices) / 8), longestSleepMs), signal);
        }
      } catch (error) {
        const waitedMs = Math.round(this.#clock.now() - startedAt);
        const what = `netfn ${hex(message.netFn)} command ${hex(message.cmd)}`;
        throw new TransportError(this.name, "unknown", `${what}: no answer after ${waitedMs} ms`, { cause: error });
      }
    }
  }

  #reply({ data }: DeviceReply): Reply {
    const [completionCode] = data;
    if (completionCode === undefined) {
      throw new TransportError(this.name, "unknown", "the driver gave a reply without completion code");
    }
    return { completionCode, data: data.slice(1) };
  }

  #attempt<T>(sent: "no" | "unknown", call: () => T): T {
    try {
      return call();
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      throw new TransportError(this.name, sent, problem, { cause: error });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#device.close();
  }
}

function hex(value: number): string {
  return `${value.toString(16).toUpperCase().padStart(2, "0")}h`;
}
