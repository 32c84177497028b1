import type { Message } from "../../ipmi/transport.ts";
import { cipherSuites } from "../../outband-client/lan/cipher-suite.ts";
import { type CodecServer, type CodecServerOptions, startCodecServer } from "./codec-server.ts";
import type { Arrival } from "./commands/handler.ts";
import type { Delivery } from "./delivery.ts";
import { KcsRegisters, type KcsRegistersOptions } from "./kcs-registers.ts";
import { LanServer, listenOnLoopback } from "./lan-server.ts";
import { mainLan } from "./main-lan.ts";
import type { SimulatedBmc } from "./simulated-bmc.ts";

/** One command that a BMC was sent, and all that it answered. */
export interface Traffic {
  readonly via: "in-band" | "lan";
  /** Its data may hold a password. */
  readonly message: Message;
  readonly deliveries: readonly Delivery[];
}

export interface FaceOptions {
  /** Milliseconds, of any start, the same for all faces of a BMC. Default: real time. */
  readonly now?: () => number;
  readonly onTraffic?: (traffic: Traffic) => void;
}

const realTime = () => performance.now();

function receiver(bmc: SimulatedBmc, { now = realTime, onTraffic }: FaceOptions) {
  return (message: Message, from: Arrival["from"]): readonly Delivery[] => {
    const deliveries = bmc.receive(message, { nowMs: now(), from });
    onTraffic?.({ via: from === "in-band" ? from : "lan", message, deliveries });
    return deliveries;
  };
}

/** The BMC at the two I/O ports of a KCS interface. A reply that comes late takes the place of the next one: KCS knows no other. */
export function kcsFace(
  bmc: SimulatedBmc,
  options: FaceOptions & Omit<KcsRegistersOptions, "answer" | "now"> = {},
): KcsRegisters {
  const receive = receiver(bmc, options);
  return new KcsRegisters({
    ...options,
    now: options.now ?? realTime,
    answer([netFnLun = 0, cmd = 0, ...data]) {
      const lun = netFnLun & 3;
      const message = { netFn: netFnLun >> 2, lun, cmd, data: Uint8Array.from(data) };
      const [first] = receive(message, "in-band");
      if (first === undefined) return { bytes: undefined, delayMs: 0 };
      const bytes = Uint8Array.of(((first.netFn | 1) << 2) | lun, first.cmd, ...first.body);
      return { bytes, delayMs: first.afterMs };
    },
  });
}

/** The BMC behind QEMU's `ipmi-bmc-extern`. @throws Error with code EADDRINUSE if the port is taken */
export async function codecFace(
  bmc: SimulatedBmc,
  options: FaceOptions & Omit<CodecServerOptions, "execute"> = {},
): Promise<CodecServer> {
  const receive = receiver(bmc, options);
  return await startCodecServer({ ...options, execute: (message) => receive(message, "in-band") });
}

/** What a BMC answers to anybody. IPMI 2.0 §22.13 to §22.15. */
const sessionlessCommands: ReadonlySet<number> = new Set([0x37, 0x38, 0x54]);

/** The BMC on the network of its main LAN channel. */
export function lanFace(bmc: SimulatedBmc, options: FaceOptions = {}): LanServer {
  const receive = receiver(bmc, options);
  const { channel } = mainLan(bmc.lans);
  const { now = realTime } = options;
  return new LanServer({
    now,
    isAlive: () => bmc.isAlive(now()),
    resets: () => bmc.resets,
    users(name) {
      const user = bmc.remoteUser(name);
      return user === undefined ? undefined : { name, password: user.password, limit: user.privilege };
    },
    suites: cipherSuites.filter(({ id }) => bmc.profile.lan.cipherSuites.includes(id)),
    guid: bmc.guid ?? new Uint8Array(16),
    ...(bmc.profile.lan.kg === undefined ? {} : { kg: bmc.profile.lan.kg }),
    sessionless: (message) =>
      message.netFn === 0x06 && sessionlessCommands.has(message.cmd) ? receive(message, { channel, privilege: 2 }) : [],
    handle: (message, privilege) => receive(message, { channel, privilege }),
  });
}

/** The same on a UDP port of 127.0.0.1, a free one by default. @throws Error with code EADDRINUSE if it is taken */
export async function listenOnLan(
  bmc: SimulatedBmc,
  { port, ...options }: FaceOptions & { readonly port?: number } = {},
): Promise<AsyncDisposable & { readonly port: number }> {
  return await listenOnLoopback(lanFace(bmc, options), 4, port);
}
