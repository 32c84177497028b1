import { createSocket } from "node:dgram";
import type { DhcpLink } from "./dhcp-client.ts";

/** DHCP with one server from an address we have: an ordinary UDP socket on port 68. */
export async function openUdpLink(address: string): Promise<DhcpLink> {
  const socket = createSocket({ type: "udp4", reuseAddr: true });
  const waiting: Uint8Array[] = [];
  let wake: () => void = () => undefined;
  socket.on("message", (message) => {
    waiting.push(message);
    wake();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(68, address, resolve);
  });
  // an ICMP "unreachable" is no answer: the client asks again
  socket.on("error", () => undefined);
  return {
    send: (message, to) => socket.send(message, 67, to, () => undefined),
    async receive(waitMs, signal) {
      signal.throwIfAborted();
      if (waiting.length === 0) {
        await new Promise<void>((resolve, reject) => {
          const timer = setTimeout(resolve, waitMs);
          const abort = () => {
            clearTimeout(timer);
            reject(signal.reason);
          };
          signal.addEventListener("abort", abort, { once: true });
          wake = () => {
            clearTimeout(timer);
            signal.removeEventListener("abort", abort);
            resolve();
          };
        });
      }
      return waiting.shift();
    },
    close: () => socket.close(),
  };
}
