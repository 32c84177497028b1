import { connect, createServer, type Server, type Socket } from "node:net";
import { type CodecMessage, encodeFrame, encodeMessage, type Frame, FrameReader, parseMessage } from "./vm-codec.ts";

/** One IPMI command that went by. Its data is not kept: some of it is a password. */
export interface SeenCommand {
  readonly netFn: number;
  readonly cmd: number;
  /** Milliseconds since the proxy started. */
  readonly atMs: number;
  /** Undefined while the BMC has not answered. */
  completionCode: number | undefined;
  /** As atMs, for the answer. */
  answeredAtMs: number | undefined;
}

/** Stands between a machine and its BMC on the VM codec, counts what goes by, and can make the BMC slow. */
export interface CodecProxy extends AsyncDisposable {
  /** Where the machine connects to: an address of the loopback, and its port. */
  readonly host: string;
  readonly port: number;
  /** Every command since the start or the last `forget`, in order. */
  readonly seen: readonly SeenCommand[];
  /** Connections of a machine so far: a VM that starts again makes a new one. */
  readonly connections: number;
  /** Milliseconds that every command waits before the BMC hears of it. */
  delayMs: number;
  /** Makes the BMC say that it has so many user IDs and no more; undefined: what it says itself. */
  maxUserIds: number | undefined;
  /** Completion code with which every command is answered instead of by the BMC: one that boots. Undefined: it answers. */
  refusal: number | undefined;
  /** Starts counting anew. */
  forget(): void;
}

/** How a command is named in counts: network function and command, for example "06/01". */
export function commandKey(command: { readonly netFn: number; readonly cmd: number }): string {
  return [command.netFn, command.cmd].map((byte) => byte.toString(16).padStart(2, "0")).join("/");
}

/** Commands by kind, most frequent first. */
export function countByKind(commands: readonly SeenCommand[]): Record<string, number> {
  const counts = new Map<string, number>();
  for (const command of commands) counts.set(commandKey(command), (counts.get(commandKey(command)) ?? 0) + 1);
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0])));
}

/** IPMI commands of this project that change something on a BMC; none of the kernel driver's own is among them. */
const WRITES: ReadonlySet<string> = new Set([
  "06/40", // Set Channel Access
  "06/43", // Set User Access
  "06/45", // Set User Name
  "06/4c", // Set User Payload Access
  "0c/01", // Set LAN Configuration Parameters
  "0c/21", // Set SOL Configuration Parameters
  "0a/12", // Write FRU Data
  "00/02", // Chassis Control
  "00/04", // Chassis Identify
  "00/08", // Set System Boot Options
  "06/47", // Set User Password (its test operation counts as well: the data is not kept)
]);

/** Commands with which Linux's ipmi_si minds its interface whenever it likes: global enables, message flags, event buffer. */
const DRIVER_CHORES: ReadonlySet<string> = new Set(["06/2e", "06/2f", "06/30", "06/31", "06/33", "06/35"]);

/**
 * Get Channel Info: ipmi_msghandler asks for all 16 channels in a row when it registers an interface, or for the first one only
 * if the BMC does not know the command.
 */
const CHANNEL_SCAN = "06/42";
const CHANNEL_SCAN_LENGTH = 12;
const INVALID_COMMAND = 0xc1;

/**
 * The commands of one boot that a program behind /dev/ipmi0 sent: those after the kernel driver's own channel scan, without
 * the driver's chores. If the driver scanned nothing, nothing could be sent through it.
 * @param from leave out this many commands at the start of the boot, which must lie behind the scan
 */
export function commandsOfPrograms(boot: readonly SeenCommand[], from = 0): SeenCommand[] {
  const isScan = (command: SeenCommand | undefined) => command !== undefined && commandKey(command) === CHANNEL_SCAN;
  let run = 0;
  // The first scan is the driver's: FreeIPMI looks at all channels as well.
  const atLength = boot.findIndex((command) => {
    run = isScan(command) ? run + 1 : 0;
    return run >= CHANNEL_SCAN_LENGTH;
  });
  const unknown = boot.findIndex((command) => isScan(command) && command.completionCode === INVALID_COMMAND);
  const last = atLength < 0 ? unknown : atLength;
  if (last < 0) return [];
  let end = last + 1;
  while (isScan(boot[end])) end += 1;
  return boot.slice(Math.max(from, end)).filter((command) => !DRIVER_CHORES.has(commandKey(command)));
}

/** Those of the commands that change the BMC. */
export function writesAmong(commands: readonly SeenCommand[]): SeenCommand[] {
  return commands.filter((command) => WRITES.has(commandKey(command)));
}

/**
 * @param options.bmcPort VM codec port of the BMC on 127.0.0.1
 * @param options.delayMs see CodecProxy.delayMs; 0 by default
 * @param options.at where it listens; a free port of 127.0.0.1 by default
 */
export async function startCodecProxy(options: {
  bmcPort: number;
  delayMs?: number;
  at?: { readonly host: string; readonly port: number };
}): Promise<CodecProxy> {
  const { host, port } = options.at ?? { host: "127.0.0.1", port: 0 };
  const started = performance.now();
  const state = {
    delayMs: options.delayMs ?? 0,
    maxUserIds: undefined as number | undefined,
    refusal: undefined as number | undefined,
    seen: [] as SeenCommand[],
    connections: 0,
  };
  const sockets = new Set<Socket>();

  const server: Server = createServer((machine) => {
    state.connections += 1;
    const bmc = connect(options.bmcPort, "127.0.0.1");
    for (const socket of [machine, bmc]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => socket.destroy());
    }
    machine.on("close", () => {
      sockets.delete(machine);
      bmc.destroy();
    });
    bmc.on("close", () => {
      sockets.delete(bmc);
      machine.destroy();
    });

    const waiting = new Map<number, SeenCommand>();
    const requests = new FrameReader();
    machine.on("data", (chunk: Buffer) => {
      for (const frame of requests.push(chunk)) {
        const message = frame.kind === "message" ? parseMessage(frame.bytes) : undefined;
        if (message !== undefined) {
          const command: SeenCommand = {
            netFn: message.netFn,
            cmd: message.cmd,
            atMs: performance.now() - started,
            completionCode: undefined,
            answeredAtMs: undefined,
          };
          state.seen.push(command);
          if (state.refusal !== undefined) {
            const refused = { ...message, netFn: message.netFn | 1, data: Uint8Array.of(state.refusal) };
            machine.write(encodeFrame({ kind: "message", bytes: encodeMessage(refused) }));
            continue;
          }
          waiting.set(message.sequence, command);
        }
        const bytes = encodeFrame(frame);
        if (message === undefined || state.delayMs === 0) bmc.write(bytes);
        else setTimeout(() => bmc.write(bytes), state.delayMs);
      }
    });
    const replies = new FrameReader();
    bmc.on("data", (chunk: Buffer) => {
      for (const frame of replies.push(chunk)) {
        const message = frame.kind === "message" ? parseMessage(frame.bytes) : undefined;
        if (message !== undefined) {
          const command = waiting.get(message.sequence);
          if (command !== undefined) {
            command.completionCode = message.data[0];
            command.answeredAtMs = performance.now() - started;
          }
          waiting.delete(message.sequence);
        }
        machine.write(encodeFrame(message === undefined ? frame : withMaxUserIds(frame, message, state.maxUserIds)));
      }
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("codec proxy: listens without a port");

  return {
    host,
    port: address.port,
    get seen() {
      return state.seen;
    },
    get connections() {
      return state.connections;
    },
    get delayMs() {
      return state.delayMs;
    },
    set delayMs(value: number) {
      state.delayMs = value;
    },
    get maxUserIds() {
      return state.maxUserIds;
    },
    set maxUserIds(value: number | undefined) {
      state.maxUserIds = value;
    },
    get refusal() {
      return state.refusal;
    },
    set refusal(value: number | undefined) {
      state.refusal = value;
    },
    forget() {
      state.seen = [];
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Get User Access tells the number of user IDs in the low six bits of its first byte. IPMI 2.0 §22.27. */
function withMaxUserIds(frame: Frame, message: CodecMessage, maxUserIds: number | undefined): Frame {
  if (maxUserIds === undefined || message.netFn !== 0x07 || message.cmd !== 0x44 || message.data[0] !== 0) return frame;
  const data = message.data.slice();
  data[1] = maxUserIds & 0x3f;
  return { kind: "message", bytes: encodeMessage({ ...message, data }) };
}
