import { send } from "../../ipmi/command.ts";
import { closeSession, getDeviceId } from "../../ipmi/commands/index.ts";
import { TransportError } from "../../ipmi/errors.ts";
import type { Message, Reply, Transport } from "../../ipmi/transport.ts";
import { decodeResponse, encodeRequest, MAX_REQUEST_BYTES, SEQUENCE_LIMIT } from "./lan-message.ts";
import type { Established } from "./login.ts";
import { isRepeatable } from "./repeatable.ts";
import { ask, type Link } from "./retransmission.ts";
import { Seal } from "./seal.ts";
import { OutboundSequence, SequenceWindow } from "./sequence-window.ts";

/** Levels that a session can be raised to. IPMI 2.0 §6.8. */
export type LoginPrivilege = "user" | "operator" | "administrator" | "oem";

/** How long a session waits, all in ms. */
export interface SessionTimeouts {
  /** For the reply to each request; sent again after each but the last, if it may be (repeatable.ts). */
  readonly requestMs: readonly number[];
  /** Idle time after which the session is kept alive by a Get Device ID; 0 never does. */
  readonly keepAliveMs: number;
  /** For the reply to Close Session. */
  readonly closeMs: number;
}

/** How the session is kept from timing out on the BMC's side. IPMI 2.0 §6.12.15: 60 s +/- 3 s; ipmi_sim 30 s. */
export interface KeepAlive {
  /** Idle time between two of them, ms; 0: none. */
  readonly intervalMs: number;
  /** Why the last one failed; undefined when it was answered or none was sent yet. */
  readonly failure: Error | undefined;
}

/** A session with a BMC over RMCP+. Dispose it: the BMC has few. */
export class LanSession implements Transport {
  readonly name: string;
  readonly maxRequestBytes = MAX_REQUEST_BYTES;
  /** The cipher suite agreed on: 17 or 3. */
  readonly cipherSuite: number;
  /** The privilege level that the session was raised to. */
  readonly privilege: LoginPrivilege;
  readonly #link: Link;
  readonly #timeouts: SessionTimeouts;
  readonly #seal: Seal;
  readonly #consoleSessionId: number;
  readonly #bmcSessionId: number;
  readonly #inbound = new SequenceWindow();
  readonly #outbound = new OutboundSequence();
  readonly #closing = new AbortController();
  #requestSequence = 0;
  #turn: Promise<unknown> = Promise.resolve();
  #idle: NodeJS.Timeout | undefined;
  #keepAliveFailure: Error | undefined;
  #closed: Promise<void> | undefined;

  constructor(link: Link, established: Established, privilege: LoginPrivilege, timeouts: SessionTimeouts) {
    this.name = link.name;
    this.cipherSuite = established.suite.id;
    this.privilege = privilege;
    this.#link = link;
    this.#timeouts = timeouts;
    this.#seal = new Seal(established.suite, established.keys);
    this.#consoleSessionId = established.consoleSessionId;
    this.#bmcSessionId = established.bmcSessionId;
    this.#restartIdle();
  }

  get keepAlive(): KeepAlive {
    return { intervalMs: this.#timeouts.keepAliveMs, failure: this.#keepAliveFailure };
  }

  /**
   * One at a time: a second request waits for its turn.
   * @throws TransportError; `sent` is "no" while it waited for its turn or the session is closed
   */
  async exchange(message: Message, signal: AbortSignal): Promise<Reply> {
    if (this.#closing.signal.aborted) throw new TransportError(this.name, "no", "the session is closed");
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = before.then(() => promise);
    try {
      await endedOr(before, ended, this.name);
      return await this.#exchangeNow(message, this.#timeouts.requestMs, ended);
    } finally {
      resolve();
    }
  }

  async #exchangeNow(message: Message, waitsMs: readonly number[], signal: AbortSignal): Promise<Reply> {
    clearTimeout(this.#idle);
    const sequence = this.#requestSequence;
    this.#requestSequence = (this.#requestSequence + 1) % SEQUENCE_LIMIT;
    const payload = encodeRequest({ ...message, sequence });
    const hex = (value: number) => value.toString(16).padStart(2, "0");
    try {
      return await ask(
        this.#link,
        {
          what: `request ${hex(message.netFn)}/${hex(message.cmd)}`,
          datagram: () => {
            const packet = { sessionId: this.#bmcSessionId, sequence: this.#outbound.next(), payload };
            return this.#seal.close({ payloadType: "ipmi", ...packet });
          },
          accept: (datagram) => this.#accept(datagram, message, sequence),
          waitsMs: isRepeatable(message) ? waitsMs : [waitsMs.reduce((sum, each) => sum + each, 0)],
        },
        signal,
      );
    } finally {
      this.#restartIdle();
    }
  }

  /** The reply, or undefined for whatever is not the reply to this request. @throws DecodeError for a stray datagram */
  #accept(datagram: Uint8Array, request: Message, sequence: number): Reply | undefined {
    const packet = this.#seal.open(datagram);
    if (packet.payloadType !== "ipmi" || packet.sessionId !== this.#consoleSessionId) return undefined;
    if (!this.#inbound.take(packet.sequence)) return undefined;
    const { netFn, cmd, completionCode, data, ...response } = decodeResponse(packet.payload);
    if (netFn !== request.netFn || cmd !== request.cmd || response.sequence !== sequence) return undefined;
    return { completionCode, data };
  }

  #restartIdle(): void {
    clearTimeout(this.#idle);
    if (this.#timeouts.keepAliveMs === 0 || this.#closing.signal.aborted) return;
    this.#idle = setTimeout(() => void this.#sendKeepAlive(), this.#timeouts.keepAliveMs);
    // A session that nobody uses must not keep the process alive.
    this.#idle.unref();
  }

  async #sendKeepAlive(): Promise<void> {
    try {
      await send(this, getDeviceId, {}, this.#closing.signal);
      this.#keepAliveFailure = undefined;
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      this.#keepAliveFailure = error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Ends a request that is under way, closes the session on the BMC (waiting at most `closeMs`) and the socket. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort(new Error("the session was closed"));
    clearTimeout(this.#idle);
    await this.#turn;
    const { netFn, cmd } = closeSession;
    const data = closeSession.encodeRequest({ sessionId: this.#bmcSessionId });
    try {
      await this.#exchangeNow({ netFn, lun: 0, cmd, data }, [this.#timeouts.closeMs], new AbortController().signal);
    } catch {
      // The BMC ends an idle session by itself; there is nothing else to do about it.
    } finally {
      await this.#link.datagrams.close();
    }
  }
}

async function endedOr(turn: Promise<unknown>, signal: AbortSignal, name: string): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const ended = () => reject(new TransportError(name, "no", "ended before its turn came", { cause: signal.reason }));
  if (signal.aborted) ended();
  signal.addEventListener("abort", ended, { once: true });
  try {
    await Promise.race([turn, promise]);
  } finally {
    signal.removeEventListener("abort", ended);
  }
}
