import { createSocket, type SocketType } from "node:dgram";
import { systemClock } from "../../../inband/clock.ts";

/** A UDP socket at a port of ours. What comes is kept until it is asked for. */
export interface BoundSocket {
  /** What is lost on the way is sent again by the protocol above. */
  send(message: Uint8Array, port: number, to: string): void;
  /**
   * @param waitMs longest wait
   * @returns undefined if nothing came
   * @throws the signal's reason
   */
  receive(waitMs: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
  close(): void;
}

/** @throws Error of the system if the port is taken, or the address is none of ours */
export async function bindSocket(type: SocketType, port: number, address: string): Promise<BoundSocket> {
  const socket = createSocket({ type, reuseAddr: true });
  const waiting: Uint8Array[] = [];
  let woken = new AbortController();
  socket.on("message", (message) => {
    waiting.push(message);
    woken.abort();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, address, resolve);
  });
  // An ICMP "unreachable" is no answer: the client asks again.
  socket.on("error", () => undefined);
  return {
    send: (message, toPort, to) => socket.send(message, toPort, to, () => undefined),
    async receive(waitMs, signal) {
      signal.throwIfAborted();
      if (waiting.length === 0) {
        woken = new AbortController();
        const either = AbortSignal.any([signal, woken.signal]);
        await systemClock.sleep(waitMs, either).catch(() => signal.throwIfAborted());
      }
      return waiting.shift();
    },
    close: () => socket.close(),
  };
}
