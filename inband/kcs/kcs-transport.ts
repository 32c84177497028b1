import { TransportError } from "../../ipmi/errors.ts";
import { NetFn } from "../../ipmi/net-fn.ts";
import type { Message, Reply, Transport } from "../../ipmi/transport.ts";
import type { Clock } from "../clock.ts";
import type { KcsAddress } from "./kcs-address.ts";
import {
  describeErrorStatus,
  leaveByErrorExit,
  longestReplyBytes,
  readReply,
  type Until,
  writeRequest,
} from "./kcs-flow.ts";
import { KcsError, KcsRegisters, nobody, State, Status, stateOf } from "./kcs-registers.ts";
import type { PortIo } from "./port-io.ts";

/** For one exchange, from its first byte to its last, in milliseconds; the caller's signal may be shorter. */
const commandLimitMs = 30_000;

/** For each byte, but the first of the reply, in milliseconds. Linux waits as long. */
const byteLimitMs = 5_000;

/** How often a request is begun anew of which the BMC did not take every byte, so that it cannot have executed it. */
const attempts = 3;

/**
 * Get Device ID and Get Self Test Results (IPMI 2.0 §20.1, §20.4): every BMC answers them, if only with a code, and they
 * change nothing.
 */
const fences = [0x01, 0x04] as const;

/** How many of them are tried until one gets the reply that belongs to it. */
const mostFences = 4;

export const kcsName = ({ port }: KcsAddress): string => `kcs:0x${port.toString(16)}`;

/**
 * The KCS interface without the kernel's driver. KCS has no sequence numbers: a reply that was not waited for would
 * answer the next request. So one that is owed is read and dropped, or aborted, before anything else is sent. A BMC that is
 * busy with an aborted request may give its reply all the same, to the next one: a harmless question goes ahead then, and
 * only after the reply that belongs to it goes the next request out.
 */
export class KcsTransport implements Transport {
  readonly name: string;
  readonly maxRequestBytes = longestReplyBytes - 2;
  readonly #io: PortIo;
  readonly #registers: KcsRegisters;
  readonly #clock: Clock;
  #busy = false;
  #closed = false;
  /** A request went out whole, and its reply was not read. */
  #owed = false;
  /** The command after which a reply may come that belongs to no later request. */
  #strayAfter: number | undefined;

  constructor(io: PortIo, address: KcsAddress, clock: Clock) {
    this.name = kcsName(address);
    this.#io = io;
    this.#registers = new KcsRegisters(io, address, clock);
    this.#clock = clock;
  }

  async exchange(message: Message, signal: AbortSignal): Promise<Reply> {
    if (this.#closed) throw new TransportError(this.name, "no", "it is closed");
    if (this.#busy) throw new TransportError(this.name, "no", "another exchange is under way");
    if (signal.aborted) {
      throw new TransportError(this.name, "no", "ended before it was sent", { cause: signal.reason });
    }
    if (message.data.length > this.maxRequestBytes) {
      throw new TransportError(this.name, "no", `${message.data.length} bytes are more than ${this.maxRequestBytes}`);
    }
    const bytes = Uint8Array.of((message.netFn << 2) | message.lun, message.cmd, ...message.data);
    this.#busy = true;
    try {
      await this.#getInStep(signal);
      return this.#replyTo(message, await this.#transfer(bytes, signal));
    } finally {
      this.#busy = false;
      // It may have been a password.
      bytes.fill(0);
    }
  }

  /**
   * Asks until a reply belongs to its question.
   * @throws TransportError with `sent` "no"
   */
  async #getInStep(signal: AbortSignal): Promise<void> {
    for (let tries = 0; this.#strayAfter !== undefined; tries += 1) {
      // Never the command that was aborted: its reply would look right.
      const cmd = this.#strayAfter === fences[0] ? fences[1] : fences[0];
      try {
        const reply = await this.#transfer(Uint8Array.of(NetFn.app << 2, cmd), signal);
        this.#strayAfter = belongsTo({ netFn: NetFn.app, cmd }, reply) ? undefined : cmd;
      } catch (error) {
        throw new TransportError(this.name, "no", messageOf(error), { cause: error });
      }
      if (this.#strayAfter !== undefined && tries + 1 === mostFences) {
        throw new TransportError(this.name, "no", `the last ${mostFences} replies belong to other requests`);
      }
    }
  }

  async #transfer(bytes: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const until = this.#untilWithin(commandLimitMs, signal);
    const progress: { sent: "no" | "unknown" } = { sent: "no" };
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#becomeIdle(until);
        await writeRequest(this.#registers, bytes, until, () => {
          progress.sent = "unknown";
          this.#owed = true;
        });
        const reply = await readReply(this.#registers, until, commandLimitMs);
        this.#owed = false;
        return reply;
      } catch (error) {
        const { sent } = progress;
        if (sent === "unknown") this.#strayAfter = bytes[1];
        if (!(error instanceof KcsError)) throw this.#ended(sent, error, signal);
        const end = await this.#giveUp(sent, signal);
        if (sent === "unknown" || attempt === attempts || !end.isIdle) {
          throw new TransportError(this.name, sent, `${error.message}; ${end.text}`, { cause: error });
        }
      }
    }
  }

  /** Leaves no transfer of somebody before us, nor of our own, under way. */
  async #becomeIdle(until: Until): Promise<void> {
    if (this.#owed) {
      const late = await readReply(this.#registers, until, byteLimitMs).catch(onlyKcsError);
      if (late === undefined) await leaveByErrorExit(this.#registers, until);
      this.#owed = false;
      return;
    }
    const status = await until("become ready for a request", (each) => (each & Status.ibf) === 0);
    if (stateOf(status) !== State.idle) await leaveByErrorExit(this.#registers, until);
  }

  /** The error exit, so that the next request finds an idle BMC; nobody is not asked to become idle. */
  async #giveUp(sent: "no" | "unknown", signal: AbortSignal): Promise<{ isIdle: boolean; text: string }> {
    try {
      if (this.#registers.readStatus() === nobody) return { isIdle: false, text: "it was not asked to abort" };
      const status = await leaveByErrorExit(this.#registers, this.#untilWithin(commandLimitMs, signal));
      this.#owed = false;
      return { isIdle: true, text: describeErrorStatus(status) };
    } catch (error) {
      if (!(error instanceof KcsError)) throw this.#ended(sent, error, signal);
      return { isIdle: false, text: error.message };
    }
  }

  #untilWithin(limitMs: number, signal: AbortSignal): Until {
    const endsAt = this.#clock.now() + limitMs;
    return (what, isSo, stepMs = byteLimitMs) =>
      this.#registers.until(what, isSo, Math.min(stepMs, endsAt - this.#clock.now()), signal);
  }

  /** The caller has ended the wait, or the ports cannot be used. */
  #ended(sent: "no" | "unknown", error: unknown, signal: AbortSignal): TransportError {
    if (!signal.aborted) return new TransportError(this.name, sent, messageOf(error), { cause: error });
    return new TransportError(this.name, sent, "ended while the BMC was waited for", { cause: signal.reason });
  }

  #replyTo(message: Message, reply: Uint8Array): Reply {
    const completionCode = reply[2];
    if (completionCode === undefined) {
      throw new TransportError(this.name, "unknown", `the reply has ${reply.length} bytes, 3 are the fewest`);
    }
    if (!belongsTo(message, reply)) {
      this.#strayAfter = message.cmd;
      throw new TransportError(this.name, "unknown", "the BMC answered another command");
    }
    return { completionCode, data: reply.slice(3) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#io.close();
  }
}

function belongsTo({ netFn, cmd }: Pick<Message, "netFn" | "cmd">, [first = 0, second]: Uint8Array): boolean {
  return first >> 2 === (netFn | 1) && second === cmd;
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Makes nothing of a KcsError, and throws all else again. */
function onlyKcsError(error: unknown): undefined {
  if (!(error instanceof KcsError)) throw error;
}
