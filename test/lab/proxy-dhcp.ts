import { createSocket } from "node:dgram";

/** Answers beside the DHCP server of a network: it gives no address, it names what to boot. */
export interface ProxyDhcp extends AsyncDisposable {
  /** UDP ports of 127.0.0.1 over which QEMU hands Ethernet frames on: where we are, and where QEMU is to be. */
  readonly port: number;
  readonly machinePort: number;
  /** Names a URL from now on; nothing is said before. */
  tell(url: string): void;
}

/** In QEMU's user network, beside its gateway. */
const ourAddress = [10, 0, 2, 200] as const;
const ourMac = [0x52, 0x55, 10, 0, 2, 200] as const;
const everybody = 0xff;
const magicCookie = [0x63, 0x82, 0x53, 0x63] as const;
const vendorClass = "HTTPClient";

/** Options of RFC 2132 by number. */
const option = { messageType: 53, server: 54, vendorClass: 60, bootFile: 67, end: 255 } as const;
const discover = 1;
const offer = 2;

/**
 * Names a URL to the firmware that asks for one by UEFI HTTP boot. Source: UEFI specification 2.10 §24.7.3 (DHCP client
 * extensions for HTTP boot); RFC 2131.
 * @param machinePort a free UDP port of 127.0.0.1, for QEMU
 */
export async function startProxyDhcp(machinePort: number): Promise<ProxyDhcp> {
  const socket = createSocket("udp4");
  let url: string | undefined;
  socket.on("message", (frame) => {
    const asked = readDiscover(frame);
    if (asked === undefined || url === undefined) return;
    socket.send(offerFrame(asked, url), machinePort, "127.0.0.1");
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(0, "127.0.0.1", resolve);
  });
  return {
    port: socket.address().port,
    machinePort,
    tell(told) {
      url = told;
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => socket.close(resolve));
    },
  };
}

/** The first 240 bytes of a DHCP message, if it is a discover for HTTP boot. */
function readDiscover(frame: Buffer): Buffer | undefined {
  const isUdp = frame.length > 42 && frame.readUInt16BE(12) === 0x0800 && frame[23] === 17;
  if (!isUdp) return undefined;
  const udp = 14 + ((frame[14] ?? 0) & 0x0f) * 4;
  if (frame.length < udp + 8 + 240 || frame.readUInt16BE(udp + 2) !== 67) return undefined;
  const message = frame.subarray(udp + 8);
  const options = readOptions(message.subarray(240));
  const isForHttp = options.get(option.vendorClass)?.toString("latin1").startsWith(vendorClass) === true;
  return isForHttp && options.get(option.messageType)?.[0] === discover ? message.subarray(0, 240) : undefined;
}

function readOptions(bytes: Buffer): Map<number, Buffer> {
  const options = new Map<number, Buffer>();
  for (let at = 0; at + 1 < bytes.length && bytes[at] !== option.end; ) {
    if (bytes[at] === 0) at += 1;
    else {
      const length = bytes[at + 1] ?? 0;
      options.set(bytes[at] ?? 0, bytes.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
  }
  return options;
}

function offerFrame(asked: Buffer, url: string): Buffer {
  const message = Buffer.alloc(240);
  message[0] = 2;
  asked.copy(message, 1, 1, 8); // hardware type and length, hops, transaction
  asked.copy(message, 10, 10, 12); // flags
  Buffer.from(ourAddress).copy(message, 20);
  asked.copy(message, 28, 28, 44); // the machine's hardware address
  Buffer.from(magicCookie).copy(message, 236);
  const options = [
    [option.messageType, Buffer.from([offer])],
    [option.server, Buffer.from(ourAddress)],
    [option.vendorClass, Buffer.from(vendorClass)],
    [option.bootFile, Buffer.from(url)],
  ] as const;
  const encoded = options.map(([number, value]) => Buffer.concat([Buffer.from([number, value.length]), value]));
  const payload = Buffer.concat([message, ...encoded, Buffer.from([option.end])]);
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(67, 0);
  udp.writeUInt16BE(68, 2);
  udp.writeUInt16BE(8 + payload.length, 4); // a checksum of 0 is none
  const ip = Buffer.from([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, ...ourAddress, ...Array(4).fill(everybody)]);
  ip.writeUInt16BE(20 + udp.length + payload.length, 2);
  ip.writeUInt16BE(ipChecksum(ip), 10);
  const ethernet = Buffer.from([...Array(6).fill(everybody), ...ourMac, 0x08, 0x00]);
  return Buffer.concat([ethernet, ip, udp, payload]);
}

/** RFC 1071. */
function ipChecksum(header: Buffer): number {
  let sum = 0;
  for (let at = 0; at < header.length; at += 2) sum += header.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
