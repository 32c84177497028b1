import { createServer, type Server, type Socket } from "node:net";
import type { Message } from "../../ipmi/transport.ts";
import { Control, encodeFrame, encodeMessage, FrameReader, parseMessage } from "../lab/vm-codec.ts";
import type { Delivery } from "./delivery.ts";

export interface CodecServerOptions {
  /** TCP port on 127.0.0.1; a free one by default. */
  readonly port?: number;
  /** Executes a request. */
  readonly execute: (request: Message) => readonly Delivery[];
  /** A machine connects: it was switched on. It hangs up: it is off. Or it was reset, and stays connected. */
  readonly onMachine?: (what: MachineEvent) => void;
}

export type MachineEvent = "connected" | "gone" | "reset";

/** A simulated BMC's side of the VM codec: QEMU's `ipmi-bmc-extern` connects to it. */
export interface CodecServer extends AsyncDisposable {
  /** On 127.0.0.1. */
  readonly port: number;
  /** Whether a machine is connected. */
  readonly connected: boolean;
  /** Connections so far: a VM that starts again makes a new one. */
  readonly connections: number;
  /** Has the machine switched off or reset. @returns whether there is one */
  control(what: "powerOff" | "reset" | "pulseDiagnosticInterrupt" | "softShutdown"): boolean;
  /** Hangs up, as a BMC does that starts again. The machine comes back by itself. */
  hangUp(): void;
}

/** BMC to machine. QEMU hw/ipmi/ipmi_bmc_extern.c. */
const controls = { powerOff: 0x03, reset: 0x04, pulseDiagnosticInterrupt: 0x07, softShutdown: 0x09 } as const;
const protocolVersion = 1;

/**
 * One machine at a time: a new connection takes the place of the old one, whose VM is gone.
 * @throws Error with code EADDRINUSE if the port is taken
 */
export async function startCodecServer(options: CodecServerOptions): Promise<CodecServer> {
  let machine: Socket | undefined;
  let connections = 0;

  const server = createServer((socket) => {
    machine?.destroy();
    machine = socket;
    connections += 1;
    socket.setNoDelay(true);
    const timers = new Set<NodeJS.Timeout>();
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      for (const timer of timers) clearTimeout(timer);
      if (machine !== socket) return;
      machine = undefined;
      options.onMachine?.("gone");
    });
    const write = (kind: "message" | "control", bytes: Uint8Array) => {
      if (!socket.destroyed) socket.write(encodeFrame({ kind, bytes }));
    };
    write("control", Uint8Array.of(Control.version, protocolVersion));
    write("control", Uint8Array.of(Control.noAttention));
    options.onMachine?.("connected");

    const send = ({ answers, netFn, cmd, body, afterMs }: Delivery) => {
      const sequence = sequences.get(answers);
      // A late answer to somebody on another way, or before the machine was reset.
      if (sequence === undefined) return;
      const bytes = encodeMessage({ sequence, netFn: netFn | 1, lun: answers.lun, cmd, data: body });
      if (afterMs <= 0) {
        write("message", bytes);
        return;
      }
      const timer = setTimeout(() => {
        timers.delete(timer);
        write("message", bytes);
      }, afterMs);
      timers.add(timer);
    };
    const sequences = new WeakMap<Message, number>();
    const frames = new FrameReader();
    socket.on("data", (chunk: Buffer) => {
      for (const frame of frames.push(chunk)) {
        if (frame.kind === "control") {
          if (frame.bytes[0] === Control.machineReset) options.onMachine?.("reset");
          continue;
        }
        const request = parseMessage(frame.bytes);
        if (request === undefined) continue;
        const { sequence, netFn, lun, cmd, data } = request;
        const message = { netFn, lun, cmd, data };
        sequences.set(message, sequence);
        for (const delivery of options.execute(message)) send(delivery);
      }
    });
  });
  await listen(server, options.port ?? 0);
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("VM codec: listens without a port");

  return {
    port: address.port,
    get connected() {
      return machine !== undefined;
    },
    get connections() {
      return connections;
    },
    control(what) {
      machine?.write(encodeFrame({ kind: "control", bytes: Uint8Array.of(controls[what]) }));
      return machine !== undefined;
    },
    hangUp: () => machine?.destroy(),
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      machine?.destroy();
      await closed;
    },
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
}
