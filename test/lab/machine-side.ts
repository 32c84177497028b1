import { connect, type Socket } from "node:net";
import { TransportError } from "../../ipmi/errors.ts";
import type { Message, Reply, Transport } from "../../ipmi/transport.ts";
import { Control, encodeFrame, encodeMessage, FrameReader, parseMessage } from "./vm-codec.ts";

/**
 * Plays the machine on the VM codec of a BMC: an in-band transport without a VM.
 * @param port VM codec port on 127.0.0.1
 */
export async function connectAsMachine(port: number): Promise<Transport> {
  const name = `vm-codec:${port}`;
  const socket = await open(port);
  const frames = new FrameReader();
  const waiting = new Map<number, (data: Uint8Array) => void>();
  let sequence = 0;
  socket.on("data", (chunk: Buffer) => {
    for (const frame of frames.push(chunk)) {
      const message = frame.kind === "message" ? parseMessage(frame.bytes) : undefined;
      if (message !== undefined) waiting.get(message.sequence)?.(message.data);
    }
  });
  socket.write(encodeFrame({ kind: "control", bytes: Uint8Array.of(Control.version, 1) }));
  socket.write(encodeFrame({ kind: "control", bytes: Uint8Array.of(Control.capabilities, 0x3f) }));

  return {
    name,
    maxRequestBytes: 255,
    exchange(message: Message, signal: AbortSignal): Promise<Reply> {
      sequence = (sequence + 1) & 0xff;
      const mine = sequence;
      return new Promise((resolve, reject) => {
        const done = () => {
          waiting.delete(mine);
          signal.removeEventListener("abort", onAbort);
          socket.off("close", onClose);
        };
        const onAbort = () => {
          done();
          reject(new TransportError(name, "unknown", "no answer in time", { cause: signal.reason }));
        };
        const onClose = () => {
          done();
          reject(new TransportError(name, "unknown", "the BMC closed the connection"));
        };
        if (signal.aborted) return onAbort();
        signal.addEventListener("abort", onAbort, { once: true });
        socket.once("close", onClose);
        waiting.set(mine, (data) => {
          done();
          resolve({ completionCode: data[0] ?? 0xff, data: data.slice(1) });
        });
        socket.write(encodeFrame({ kind: "message", bytes: encodeMessage({ sequence: mine, ...message }) }));
      });
    },
    async [Symbol.asyncDispose]() {
      socket.destroy();
    },
  };
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.setNoDelay(true);
      socket.off("error", reject);
      socket.on("error", () => socket.destroy());
      resolve(socket);
    });
    socket.once("error", reject);
  });
}
