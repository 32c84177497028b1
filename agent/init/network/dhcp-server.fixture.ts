import type { Clock } from "../../../inband/clock.ts";
import type { DhcpLink } from "./dhcp-client.ts";
import { messageType } from "./dhcp-message.ts";

/** A clock that stands still until somebody sleeps or waits for a message; nothing sleeps in real life. */
export class FakeClock implements Clock {
  time = 0;
  readonly sleeps: number[] = [];
  now(): number {
    return this.time;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.sleeps.push(ms);
    this.time += ms;
    await Promise.resolve();
    signal?.throwIfAborted();
  }
}

export interface Heard {
  readonly at: number;
  readonly type: number;
  readonly to: string;
  readonly clientAddress: string;
  readonly transaction: number;
  readonly options: ReadonlyMap<number, Buffer>;
}

/** What a server says to a message; undefined: nothing. */
export type Answer = (heard: Heard) => Uint8Array | undefined;

/** An answer of a server, as RFC 2131 figure 1 lays it out, made by hand and not by the code under test. */
export function reply(
  heard: Heard,
  type: number,
  address: string,
  options: Readonly<Record<number, readonly number[]>>,
  mac: Uint8Array = Buffer.from("525400000001", "hex"),
): Buffer {
  const message = Buffer.alloc(240);
  message.set([2, 1, 6]);
  message.writeUInt32BE(heard.transaction, 4);
  message.set(address.split(".").map(Number), 16);
  message.set(mac, 28);
  message.set([0x63, 0x82, 0x53, 0x63], 236);
  const rest = Object.entries({ 53: [type], ...options }).flatMap(([code, data]) => [
    Number(code),
    data.length,
    ...data,
  ]);
  return Buffer.concat([message, Buffer.from([...rest, 255])]);
}

export const seconds = (value: number): number[] => [
  value >>> 24,
  (value >> 16) & 255,
  (value >> 8) & 255,
  value & 255,
];

/** A link with one server behind it. Waiting for a message moves the clock. */
export class FakeLink implements DhcpLink {
  readonly heard: Heard[] = [];
  readonly #queue: Uint8Array[] = [];
  readonly #clock: FakeClock;
  answer: Answer;
  isClosed = false;

  constructor(clock: FakeClock, answer: Answer) {
    this.#clock = clock;
    this.answer = answer;
  }

  send(message: Uint8Array, to: string): void {
    const bytes = Buffer.from(message);
    const options = new Map<number, Buffer>();
    for (let at = 240; at < bytes.length && bytes[at] !== 255; ) {
      const length = bytes[at + 1] ?? 0;
      options.set(bytes[at] ?? 0, bytes.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
    const heard = {
      at: this.#clock.time,
      type: options.get(53)?.[0] ?? 0,
      to,
      clientAddress: bytes.subarray(12, 16).join("."),
      transaction: bytes.readUInt32BE(4),
      options,
    };
    this.heard.push(heard);
    const answer = this.answer(heard);
    if (answer) this.#queue.push(answer);
  }

  push(message: Uint8Array): void {
    this.#queue.push(message);
  }

  async receive(waitMs: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    await Promise.resolve();
    signal.throwIfAborted();
    const next = this.#queue.shift();
    if (!next) this.#clock.time += waitMs;
    return next;
  }

  close(): void {
    this.isClosed = true;
  }
}

/** A server as a home router is one: always the same address, for an hour. */
export const goodServer =
  (extra: Readonly<Record<number, readonly number[]>> = {}): Answer =>
  (heard) => {
    const options = {
      1: [255, 255, 255, 0],
      3: [10, 0, 0, 1],
      6: [10, 0, 0, 53, 10, 0, 0, 54],
      51: seconds(3600),
      54: [10, 0, 0, 1],
      ...extra,
    };
    if (heard.type === messageType.discover) return reply(heard, messageType.offer, "10.0.0.7", options);
    return heard.type === messageType.request ? reply(heard, messageType.ack, "10.0.0.7", options) : undefined;
  };
