import { createSocket, type Socket } from "node:dgram";

/** A port of a bridge: a network back end of QEMU, `socket,udp=127.0.0.1:PORT,localaddr=127.0.0.1:PEER`, one frame a datagram. */
export interface BridgePort {
  /** Ours. */
  readonly port: number;
  /** That of QEMU. */
  readonly peer: number;
}

/** A switch between a machine, whose port carries tagged frames, and a network. */
export interface VlanBridge extends AsyncDisposable {
  /** Frames of the machine that were not tagged for the VLAN, and went nowhere. */
  readonly dropped: number;
  /** Frames that went through, in both directions. */
  readonly passed: number;
}

const tagType = 0x8100; // IEEE 802.1Q
const addressBytes = 12;

/** Takes the tag of one VLAN from the machine's frames, and puts it on those for the machine. */
export async function openVlanBridge(vlan: number, machine: BridgePort, network: BridgePort): Promise<VlanBridge> {
  const [tagged, plain] = [createSocket("udp4"), createSocket("udp4")];
  let [dropped, passed] = [0, 0];
  tagged.on("message", (frame) => {
    const isOurs = frame.length > 18 && frame.readUInt16BE(12) === tagType && (frame.readUInt16BE(14) & 0xfff) === vlan;
    if (!isOurs) {
      dropped += 1;
      return;
    }
    passed += 1;
    plain.send(
      Buffer.concat([frame.subarray(0, addressBytes), frame.subarray(addressBytes + 4)]),
      network.peer,
      "127.0.0.1",
    );
  });
  plain.on("message", (frame) => {
    passed += 1;
    const tag = Buffer.from([tagType >> 8, tagType & 255, vlan >> 8, vlan & 255]);
    const whole = Buffer.concat([frame.subarray(0, addressBytes), tag, frame.subarray(addressBytes)]);
    tagged.send(whole, machine.peer, "127.0.0.1");
  });
  await Promise.all([bound(tagged, machine.port), bound(plain, network.port)]);
  return {
    get dropped() {
      return dropped;
    },
    get passed() {
      return passed;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([tagged, plain].map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
    },
  };
}

function bound(socket: Socket, port: number): Promise<void> {
  // QEMU is not there before and after: nobody hears of it
  socket.on("error", () => undefined);
  return new Promise((resolve) => socket.bind(port, "127.0.0.1", resolve));
}
