import { TransportError } from "../../ipmi/errors.ts";
import type { Message, Reply, Transport } from "../../ipmi/transport.ts";
import { type Datagram, openUdp } from "./datagram.ts";
import { decodeResponse, encodeRequest, MAX_REQUEST_BYTES, SEQUENCE_LIMIT } from "./lan-message.ts";
import { decodePacket, encodePacket15 } from "./packet.ts";
import { ask, type Link } from "./retransmission.ts";
import { decodePong, encodePing, type Pong, RMCP_PORT } from "./rmcp.ts";

/** How long each request outside a session is waited for, ms, in turn: sent again after each but the last. */
export const sessionlessWaitsMs = [1000, 1500, 2000, 2500] as const;

/** "lan:10.0.0.7:623", "lan:[fd00::7]:623". */
export function lanName(host: string, port: number): string {
  return `lan:${host.includes(":") ? `[${host}]` : host}:${port}`;
}

export interface SessionlessOptions {
  /** Default 623. */
  readonly port?: number;
  /** Default `sessionlessWaitsMs`. */
  readonly waitsMs?: readonly number[];
  /** Instead of a UDP socket. */
  readonly datagram?: Datagram;
}

/**
 * Requests outside a session, in the IPMI v1.5 header without authentication, which every BMC understands: IPMI 2.0
 * §13.15 demands it for Get Channel Authentication Capabilities, and ipmi_sim drops the RMCP+ header here.
 * Only Get Channel Authentication Capabilities, Get Channel Cipher Suites and Get System GUID make sense.
 * None of them changes anything, so all are retransmitted.
 */
export class Sessionless implements Transport {
  readonly name: string;
  readonly maxRequestBytes = MAX_REQUEST_BYTES;
  readonly #link: Link;
  readonly #waitsMs: readonly number[];
  #sequence = 0;

  constructor(link: Link, waitsMs: readonly number[]) {
    this.name = link.name;
    this.#link = link;
    this.#waitsMs = waitsMs;
  }

  exchange(message: Message, signal: AbortSignal): Promise<Reply> {
    const sequence = this.#sequence;
    this.#sequence = (this.#sequence + 1) % SEQUENCE_LIMIT;
    const datagram = encodePacket15(encodeRequest({ ...message, sequence }));
    const hex = (value: number) => value.toString(16).padStart(2, "0");
    return ask(
      this.#link,
      {
        what: `request ${hex(message.netFn)}/${hex(message.cmd)} outside a session`,
        datagram: () => datagram,
        accept: (received) => {
          const packet = decodePacket(received);
          if (packet.sessionId !== 0 || (packet.format === "2.0" && packet.payloadType !== "ipmi")) return undefined;
          const response = decodeResponse(packet.payload);
          const { netFn, cmd, completionCode, data } = response;
          if (netFn !== message.netFn || cmd !== message.cmd || response.sequence !== sequence) return undefined;
          return { completionCode, data };
        },
        waitsMs: this.#waitsMs,
      },
      signal,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link.datagrams.close();
  }
}

/**
 * Opens a way to a BMC without logging in.
 * @param host an IPv4 or IPv6 address, or a name
 * @throws TransportError if the name cannot be resolved or there is no route
 */
export async function sessionless(
  host: string,
  signal: AbortSignal,
  options: SessionlessOptions = {},
): Promise<Sessionless> {
  const link = await openLink(host, options.port ?? RMCP_PORT, options.datagram, signal);
  return new Sessionless(link, options.waitsMs ?? sessionlessWaitsMs);
}

/**
 * ASF Presence Ping: finds out whether a BMC answers on this address, before anything else. IPMI 2.0 §13.2.3.
 * Not every BMC answers it.
 * @throws TransportError if there is no answer
 */
export async function ping(host: string, signal: AbortSignal, options: SessionlessOptions = {}): Promise<Pong> {
  const link = await openLink(host, options.port ?? RMCP_PORT, options.datagram, signal);
  const tag = 1 + Math.floor(Math.random() * 254);
  try {
    return await ask(
      link,
      {
        what: "ASF Presence Pong",
        datagram: () => encodePing(tag),
        accept: (received) => {
          const pong = decodePong(received);
          return pong.tag === tag ? pong : undefined;
        },
        waitsMs: options.waitsMs ?? sessionlessWaitsMs,
      },
      signal,
    );
  } finally {
    await link.datagrams.close();
  }
}

/** @throws TransportError if the name cannot be resolved or there is no route */
export async function openLink(
  host: string,
  port: number,
  datagrams: Datagram | undefined,
  signal: AbortSignal,
): Promise<Link> {
  const name = lanName(host, port);
  if (datagrams !== undefined) return { name, datagrams };
  try {
    return { name, datagrams: await openUdp(host, port, signal) };
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new TransportError(name, "no", `cannot open a way to this address: ${problem}`, { cause });
  }
}
