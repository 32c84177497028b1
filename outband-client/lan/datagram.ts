import { createSocket } from "node:dgram";
import { lookup } from "node:dns/promises";

/** The seam under IPMI over LAN: datagrams to and from one BMC. Tests swap it and nothing else. */
export interface Datagram {
  /** Sends one datagram. @throws if the network refuses it */
  send(datagram: Uint8Array): Promise<void>;
  /**
   * The next datagram from the BMC, oldest first; one call at a time.
   * @throws the signal's reason once it is aborted, or what the network reports ("connection refused")
   */
  receive(signal: AbortSignal): Promise<Uint8Array>;
  /** Ends a pending `receive`. Can be called again. */
  close(): Promise<void>;
}

/** Datagrams that nobody has fetched; more than that and the oldest is dropped, as a network would. */
const maxWaiting = 64;

/** Keeps the order in which datagrams came in, and the one who waits for the next. */
export class Inbox {
  readonly #waiting: Uint8Array[] = [];
  #receiver: ((each: Uint8Array | Error) => void) | undefined;

  put(each: Uint8Array | Error): void {
    const receiver = this.#receiver;
    if (receiver === undefined) {
      // An error that nobody waits for belongs to a question that is over.
      if (each instanceof Error) return;
      if (this.#waiting.length >= maxWaiting) this.#waiting.shift();
      this.#waiting.push(each);
      return;
    }
    // At once, not when the promise settles: the next datagram may come before that.
    this.#receiver = undefined;
    receiver(each);
  }

  take(signal: AbortSignal): Promise<Uint8Array> {
    if (this.#receiver !== undefined) return Promise.reject(new Error("receive: somebody waits already"));
    if (signal.aborted) return Promise.reject(signal.reason);
    const first = this.#waiting.shift();
    if (first !== undefined) return Promise.resolve(first);
    return new Promise((resolve, reject) => {
      const ended = () => {
        this.#receiver = undefined;
        reject(signal.reason);
      };
      signal.addEventListener("abort", ended, { once: true });
      this.#receiver = (each) => {
        signal.removeEventListener("abort", ended);
        if (each instanceof Error) reject(each);
        else resolve(each);
      };
    });
  }
}

/**
 * A UDP socket that is connected to the BMC: the kernel drops what comes from elsewhere and reports refused ports.
 * @param host an IPv4 or IPv6 address (with %zone where it is link-local) or a name, whose first address is taken
 * @throws if the name cannot be resolved or there is no route
 */
export async function openUdp(host: string, port: number, signal: AbortSignal): Promise<Datagram> {
  signal.throwIfAborted();
  const { address, family } = await orAborted(lookup(host), signal);
  const socket = createSocket(family === 6 ? "udp6" : "udp4");
  // Whoever waits has a timer that keeps the process alive; a forgotten session must not.
  socket.unref();
  const inbox = new Inbox();
  let closed = false;
  socket.on("message", (datagram) => inbox.put(datagram));
  // An ICMP error comes as an error of the socket. Without a listener it would end the process.
  socket.on("error", (error) => inbox.put(error));
  try {
    await orAborted(
      new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.connect(port, address, () => {
          socket.off("error", reject);
          resolve();
        });
      }),
      signal,
    );
  } catch (error) {
    socket.close();
    throw error;
  }
  const sendOnce = (datagram: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      if (closed) reject(new Error("the socket is closed"));
      else socket.send(datagram, (error) => (error ? reject(error) : resolve()));
    });
  return {
    async send(datagram) {
      try {
        await sendOnce(datagram);
      } catch (error) {
        // Linux reports a refused port at the next send, which then did not happen. Stale: it is reported once.
        if (!(error instanceof Error && "code" in error && error.code === "ECONNREFUSED")) throw error;
        await sendOnce(datagram);
      }
    },
    receive: (aborted) => (closed ? Promise.reject(new Error("the socket is closed")) : inbox.take(aborted)),
    close: () =>
      new Promise((resolve) => {
        if (closed) return resolve();
        closed = true;
        inbox.put(new Error("the socket is closed"));
        socket.close(resolve);
      }),
  };
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const ended = () => reject(signal.reason);
  signal.addEventListener("abort", ended, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", ended);
  }
}
