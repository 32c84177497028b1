import { decodeDhcp6, encodeDhcp6 } from "../../../agent/init/network/dhcp6-message.ts";
import { IpParameterError, parseIpParameters } from "../../../agent/init/network/ip-parameter.ts";
import { parseIfInet6 } from "../../../agent/init/network/ipv6-interface.ts";
import { decodeAdvertisement } from "../../../agent/init/network/router-advertisement.ts";
import type { FuzzedDecoder } from "../fuzzed-decoder.ts";
import { fromHex } from "./corpus.ts";

const mac = fromHex("525400000001");
const text = (each: string): Uint8Array => Uint8Array.from(Buffer.from(each, "latin1"));

/** Header, from fe80::1 to ff02::1, and the message with its checksum. RFC 4861 §4.2. */
function advertisementPacket(message: Uint8Array): Uint8Array {
  const addresses = fromHex(`fe80${"00".repeat(13)}01 ff02${"00".repeat(13)}01`);
  const length = [message.length >> 8, message.length & 255];
  const packet = Buffer.from([0x60, 0, 0, 0, ...length, 58, 255, ...addresses, ...message]);
  if (message.length < 4) return packet;
  packet.writeUInt16BE(0, 42);
  const summed = Buffer.concat([
    addresses,
    Buffer.from([0, 0, ...length, 0, 0, 0, 58]),
    packet.subarray(40),
    Buffer.alloc(1),
  ]);
  let sum = 0;
  for (let at = 0; at + 1 < summed.length; at += 2) sum += summed.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  packet.writeUInt16BE(~sum & 0xffff, 42);
  return packet;
}

/** Prefix, DNS server and search list: RFC 4861 §4.6.2, RFC 8106 §5. */
const advertisements = [
  fromHex(`86000000 40c00708 0000000000000000 030440c0 00015180 00003840 00000000 fd00${"00".repeat(14)}`),
  fromHex(
    `86000000 40000000 0000000000000000 1903 0000 000004b0 fd00${"00".repeat(13)}53 1f02 0000 000004b0 036c616203 6f72670000`,
  ),
];

const advertisement: FuzzedDecoder = {
  name: "router advertisement",
  decode: decodeAdvertisement,
  refusals: [],
  corpus: () => advertisements.map(advertisementPacket),
  maxBytes: 400,
  share: 2,
};

const advertisementBehindChecksum: FuzzedDecoder = {
  ...advertisement,
  name: "router advertisement with a good checksum",
  decode: (input) => decodeAdvertisement(advertisementPacket(input)),
  corpus: () => advertisements,
  maxBytes: 1400,
  share: 6,
};

/** Identifiers of client and server, an address for an hour, DNS server and search list. RFC 8415 §21, RFC 3646. */
const ids = `0001000a00030001525400000001 0002000a00030001525400000099`;
const dhcp6Options = [
  `${ids} 00030028 00000001 00000708 00000a8c 00050018 fd00${"00".repeat(13)}77 00000e10 00000e10`,
  `${ids} 00170010 fd00${"00".repeat(13)}53 00180009 036c616203 6f726700`,
  `${ids} 00030018 00000001 00000000 00000000 000d0008 0002 6e6f206d6f72`,
].map(fromHex);

const dhcp6: FuzzedDecoder = {
  name: "DHCPv6 reply",
  decode: (input) => decodeDhcp6(input, mac),
  refusals: [],
  corpus: () => [
    ...dhcp6Options.map((options) => Uint8Array.of(7, 0, 0, 7, ...options)),
    Uint8Array.from(encodeDhcp6({ type: 1, transaction: 7, mac, elapsed: 0, address: "any" })),
  ],
  maxBytes: 1400,
  share: 6,
};

/** Noise never has the identifiers: here they always stand before it. */
const dhcp6BehindIds: FuzzedDecoder = {
  ...dhcp6,
  name: "DHCPv6 options",
  decode: (input) => decodeDhcp6(Uint8Array.of(7, 0, 0, 7, ...fromHex(ids), ...input), mac),
  corpus: () => dhcp6Options.map((options) => options.subarray(28)),
};

const ipParameter: FuzzedDecoder = {
  name: "ip=",
  decode: (input) => parseIpParameters(Buffer.from(input).toString("latin1").split(" ")),
  refusals: [IpParameterError],
  corpus: () =>
    [
      "10.0.2.15:10.0.2.1:10.0.2.2:255.255.255.0:node7:eth0:off:10.0.2.3",
      "[fd00::5]::[fd00::1]:64::eth0:none",
      "eth1:dhcp:1450",
      "auto6",
      "eth0:dhcp eth1:auto6:1400 ::::node9::dhcp:9.9.9.9",
    ].map(text),
  maxBytes: 200,
  share: 3,
};

const ifInet6: FuzzedDecoder = {
  name: "/proc/net/if_inet6",
  decode: (input) => parseIfInet6(Buffer.from(input).toString("latin1"), "eth0"),
  refusals: [],
  corpus: () =>
    [
      "fd00000000000000505400fffe000001 02 40 00 40     eth0\nfe80000000000000505400fffe000001 02 40 20 80     eth0\n",
    ].map(text),
  maxBytes: 400,
  share: 1,
};

export const ipv6Decoders: readonly FuzzedDecoder[] = [
  advertisement,
  advertisementBehindChecksum,
  dhcp6,
  dhcp6BehindIds,
  ipParameter,
  ifInet6,
];
