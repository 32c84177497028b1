/**
 * Asks the DHCP server on the network as firmware and boot loaders of several architectures do, and fetches by TFTP what it names:
 * `node ask-as-firmware.ts SERVER` prints a JSON object, what is offered by the name of the client. Needs port 68 and a route for broadcasts.
 */

import { createSocket, type Socket } from "node:dgram";

/** What a client is offered beside its address. */
export interface Offer {
  /** Name, for TFTP, or URL; undefined: nothing to boot. */
  readonly file?: string | undefined;
  readonly vendorClass?: string | undefined;
  /** Of the file, by TFTP. */
  readonly bytes?: number;
}

interface Client {
  readonly name: string;
  /** RFC 4578 §2.1, and IANA's registry of processor architecture types. */
  readonly architecture: number;
  readonly vendorClass: "PXEClient" | "HTTPClient";
  /** Whether iPXE asks, which names itself by option 175. */
  readonly isIpxe?: true;
}

const clients: readonly Client[] = [
  { name: "BIOS", architecture: 0, vendorClass: "PXEClient" },
  { name: "UEFI 7", architecture: 7, vendorClass: "PXEClient" },
  { name: "UEFI 9", architecture: 9, vendorClass: "PXEClient" },
  { name: "UEFI arm64", architecture: 11, vendorClass: "PXEClient" },
  { name: "iPXE of BIOS", architecture: 0, vendorClass: "PXEClient", isIpxe: true },
  { name: "iPXE of UEFI 7", architecture: 7, vendorClass: "PXEClient", isIpxe: true },
  { name: "iPXE of UEFI 9", architecture: 9, vendorClass: "PXEClient", isIpxe: true },
  { name: "iPXE of arm64", architecture: 11, vendorClass: "PXEClient", isIpxe: true },
  { name: "HTTP", architecture: 16, vendorClass: "HTTPClient" },
  { name: "HTTP arm64", architecture: 19, vendorClass: "HTTPClient" },
];

/** Options of RFC 2132 and RFC 4578 by number. */
const option = {
  messageType: 53,
  wanted: 55,
  vendorClass: 60,
  bootFile: 67,
  architecture: 93,
  ipxe: 175,
  end: 255,
} as const;
const discover = 1;
const magicCookie = Buffer.from([0x63, 0x82, 0x53, 0x63]);
const limitMs = 5_000;

function encodeDiscover({ architecture, vendorClass, isIpxe }: Client, transaction: number): Buffer {
  const message = Buffer.alloc(236);
  message.set([1, 1, 6]); // a request over Ethernet
  message.writeUInt32BE(transaction, 4);
  message.writeUInt16BE(0x8000, 10); // the answer as a broadcast
  message.set([0x52, 0x54, 0, 0, 1, transaction], 28);
  const vendor = Buffer.from(`${vendorClass}:Arch:${String(architecture).padStart(5, "0")}:UNDI:003001`);
  return Buffer.concat([
    message,
    magicCookie,
    Buffer.from([option.messageType, 1, discover, option.wanted, 4, 1, 3, option.vendorClass, option.bootFile]),
    Buffer.from([option.vendorClass, vendor.length]),
    vendor,
    Buffer.from([option.architecture, 2, 0, architecture]),
    Buffer.from(isIpxe === true ? [option.ipxe, 3, 1, 1, 1] : []),
    Buffer.from([option.end]),
  ]);
}

function decodeOffer(message: Buffer): Offer {
  const text = (bytes: Buffer | undefined) => bytes?.toString("latin1").replace(/\0.*$/s, "") || undefined;
  const options = new Map<number, Buffer>();
  for (let at = 240; at + 1 < message.length && message[at] !== option.end; at += 2 + (message[at + 1] ?? 0)) {
    options.set(message[at] ?? 0, message.subarray(at + 2, at + 2 + (message[at + 1] ?? 0)));
  }
  return {
    file: text(options.get(option.bootFile)) ?? text(message.subarray(108, 236)),
    vendorClass: text(options.get(option.vendorClass)),
  };
}

/** The next datagram that `read` takes. */
function heard<T>(socket: Socket, what: string, read: (bytes: Buffer) => T | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer to ${what} in ${limitMs} ms`)), limitMs);
    const listen = (bytes: Buffer) => {
      const found = read(bytes);
      if (found === undefined) return;
      clearTimeout(timer);
      socket.off("message", listen);
      resolve(found);
    };
    socket.on("message", listen);
  });
}

/** Size of a file that the server has, bytes. RFC 1350; RFC 2349, "tsize". */
async function tftpBytes(server: string, file: string): Promise<number> {
  const socket = createSocket("udp4");
  const answer = heard(socket, `TFTP for ${file}`, (bytes) => bytes);
  socket.send(Buffer.from(`\0\x01${file}\0octet\0tsize\x000\0`, "latin1"), 69, server);
  const [name, bytes] = (await answer).subarray(1).toString("latin1").split("\0");
  socket.close();
  return Number(name?.endsWith("tsize") ? bytes : Number.NaN);
}

const [server = ""] = process.argv.slice(2);
const socket = createSocket("udp4");
await new Promise<void>((resolve) => socket.bind(68, resolve));
socket.setBroadcast(true);
const offers: Record<string, Offer> = {};
for (const [transaction, client] of clients.entries()) {
  const offer = heard(socket, client.name, (bytes) =>
    bytes[0] === 2 && bytes.length > 240 && bytes.readUInt32BE(4) === transaction ? decodeOffer(bytes) : undefined,
  );
  socket.send(encodeDiscover(client, transaction), 67, "255.255.255.255");
  const { file, vendorClass } = await offer;
  const isByTftp = file !== undefined && !file.includes("://");
  offers[client.name] = { file, vendorClass, ...(isByTftp && { bytes: await tftpBytes(server, file) }) };
}
socket.close();
process.stdout.write(`${JSON.stringify(offers)}\n`);
process.exit();
