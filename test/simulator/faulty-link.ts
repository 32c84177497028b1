import { type Datagram, Inbox } from "../../outband-client/lan/datagram.ts";
import type { LanServer } from "./lan-server.ts";

/**
 * What happens to one datagram on its way: what comes out at the other end, in order.
 * `[]` loses it, `[d, d]` doubles it; keeping it for a later call makes it late.
 * @param index how many went this way before it
 */
export type Fault = (datagram: Uint8Array, index: number) => readonly Uint8Array[];

const none: Fault = (datagram) => [datagram];

/** A network in memory between a client and a simulated BMC, with faults in both directions. Its answers come at once. */
export class FaultyLink implements Datagram {
  readonly #server: Pick<LanServer, "answers">;
  readonly #inbox = new Inbox();
  toBmc: Fault = none;
  fromBmc: Fault = none;
  /** Datagrams that the client sent. */
  readonly sent: Uint8Array[] = [];
  #answers = 0;
  closed = false;

  constructor(server: Pick<LanServer, "answers">) {
    this.#server = server;
  }

  async send(datagram: Uint8Array): Promise<void> {
    if (this.closed) throw new Error("the link is closed");
    this.sent.push(datagram);
    for (const arrived of this.toBmc(datagram, this.sent.length - 1)) {
      for (const { datagram: answer } of this.#server.answers(arrived)) {
        const index = this.#answers;
        this.#answers += 1;
        for (const each of this.fromBmc(answer, index)) this.#inbox.put(each);
      }
    }
  }

  receive(signal: AbortSignal): Promise<Uint8Array> {
    return this.#inbox.take(signal);
  }

  async close(): Promise<void> {
    this.closed = true;
  }
}

/** Loses the datagram with this index. */
export function losing(lost: number): Fault {
  return (datagram, index) => (index === lost ? [] : [datagram]);
}

/** A copy in which one bit is turned round. */
export function damaged(datagram: Uint8Array, at: number): Uint8Array {
  const copy = datagram.slice();
  const index = at < 0 ? copy.length + at : at;
  copy[index] = (copy[index] ?? 0) ^ 0x01;
  return copy;
}
