import { decodeSntpReply } from "../../../agent/clock/sntp-message.ts";
import { sntpReply } from "../../../agent/clock/sntp-server.fixture.ts";
import { ConfigError, UsageError } from "../../../agent/config/config-error.ts";
import { readDocument } from "../../../agent/config/document.ts";
import { kernelSource, readKernelKeys } from "../../../agent/config/kernel-command-line.ts";
import { localSettings } from "../../../agent/config/settings.ts";
import { decodeReply, encodeRequest } from "../../../agent/init/network/dhcp-message.ts";
import { unwrapUdp, wrapInUdp } from "../../../agent/init/network/packet-link.ts";
import { DecodeError } from "../../../ipmi/errors.ts";
import type { FuzzedDecoder } from "../fuzzed-decoder.ts";
import type { Random } from "../random.ts";
import { fromHex } from "./corpus.ts";

const text = (each: string): Uint8Array => Uint8Array.from(Buffer.from(each, "utf8"));

const commandLine: FuzzedDecoder = {
  name: "kernel command line",
  decode(input) {
    const { values, remarks } = readKernelKeys(input);
    return { remarks, settings: localSettings([{ name: kernelSource, kind: "kernel", values }]) };
  },
  refusals: [ConfigError, UsageError],
  corpus: () =>
    [
      "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet console=ttyS0,115200n8 rivet.service=10.0.0.1:4443\n",
      'rivet.config="http://10.0.0.1/rivet.yaml?a=b c" rivet.rotate rivet.limit=900 rivet.log=json -- rivet.x',
      "PIXIE_API_URL=http://10.0.0.1:4242 IP=dhcp rivet.interface=52:54:00:b1:00:01 rivet.then=exec:/bin/sh",
      'rivet.service=[fd00::1]:4443 rivet.bmc-limit=60 rivet.network_limit=1 "rivet.ca=/a b" initrd=a.img\n\0',
    ].map(text),
  maxBytes: 300,
  share: 6,
};

const documents = [
  "service: 10.0.0.1:4443\nca: |\n  -----BEGIN CERTIFICATE-----\n  AAAA\n  -----END CERTIFICATE-----\nrotate: true\nlimit: 900\n",
  '{"service":"bmc.example.org:4443","log":"json","then":"exec:/bin/sh","cert":"-----BEGIN \\u0041\\n"}',
  '{"address":"10.0.0.1:4443","ca_cert":"-----BEGIN","cert":"x","key":"y","other":[1,{"a":null}]}',
  "%YAML 1.2\n---\n? service\n: &a 'x:1' # comment\nlog: *a\nlimit: !!int 0x10\n...\n",
  "a: [b, {c: d}, \"e\\x41\\u00e4\", 'f''g', >-\n  folded\n]\n<<: *x\n- y\n",
];

/** Slow, because of YAML: it gets few inputs. */
const configuration: FuzzedDecoder = {
  name: "configuration document",
  decode: (input) => readDocument(input, "document /etc/metal-rivet/config.yaml"),
  refusals: [ConfigError],
  corpus: () => documents.map(text),
  maxBytes: 2048,
  share: 1,
};

/** What YAML is made of; random bytes get no further than its first line. */
const yamlTokens = [
  ..."[]{},:?-#&*!|>'\"%@`\\ \t\n",
  ...[
    "- ",
    "? ",
    ": ",
    "a: ",
    "&a ",
    "*a",
    "!!int ",
    "|\n",
    ">\n",
    "---\n",
    "...\n",
    "%YAML 1.2\n",
    "<<: ",
    "\r\n",
    "a:\n",
  ],
  ...["service: ", "ca_cert: ", "\\u00e4", "0x", "\u00e4", "  "],
] as const;

/** Some tokens, then some of them again and again until the end: brackets that never close, lists in lists in lists. */
function yamlNoise(random: Random, maxBytes: number): Uint8Array {
  const tokens = (most: number) => Array.from({ length: random.below(most) }, () => random.pick(yamlTokens)).join("");
  const piece = tokens(4) || "- ";
  const times = Math.floor(random.below(maxBytes) / piece.length);
  return text(tokens(4) + piece.repeat(times) + tokens(4)).subarray(0, maxBytes);
}

const nestedConfiguration: FuzzedDecoder = {
  ...configuration,
  name: "configuration document, one thing many times",
  noise: yamlNoise,
  maxBytes: 16_384,
  share: 0.1,
};

/** A server's answer, by hand from RFC 2131 figure 1. */
function dhcpReply(options: string): Uint8Array {
  const fixed = new Uint8Array(240);
  fixed.set(fromHex("02010600 12345678"));
  fixed.set(fromHex("0a010203"), 16);
  fixed.set(fromHex("525400000001"), 28);
  fixed.set(fromHex("63825363"), 236);
  return Uint8Array.of(...fixed, ...fromHex(options));
}

/** A search list in several parts (RFC 3396): one long name, then pointers to it and nothing else. */
function searchListOfPointers(): Uint8Array {
  const label = (length: number) => length.toString(16).padStart(2, "0") + "61".repeat(length);
  const name = [63, 63, 63, 46].map(label).join("");
  const pointers = `77fe ${"c000".repeat(127)}`;
  return dhcpReply(`350105 77f0 ${name}00 ${pointers.repeat(4)} ff`);
}

const replies = [
  // ACK with mask, routers, name servers, names, MTU, times and server.
  dhcpReply(
    "350105 0104fffff000 03040a010001 06080a0000350a000036 0c056e6f646537 0f0b6578616d706c652e6f7267 1a0205dc 330400000e10 3604 0a010001 ff",
  ),
  // Offer with an endless lease, search list with a compression pointer, routes.
  dhcpReply(
    "350102 3304ffffffff 77160365 6e67076578616d706c65036f726700 026871c004 7910 000a010001 0cac1000000000 2001020304 ff",
  ),
  // NAK with a message; options in the fields of file and sname.
  dhcpReply("350106 380a6e6f206c65617365212121 340103 ff"),
  searchListOfPointers(),
];

const dhcp: FuzzedDecoder = {
  name: "DHCP reply",
  decode: decodeReply,
  refusals: [],
  corpus: () => replies,
  maxBytes: 1536,
  share: 8,
};

/** Noise never has the cookie: here it always stands behind a good fixed part. */
const dhcpOptions: FuzzedDecoder = {
  name: "DHCP options",
  decode: (input) => decodeReply(Uint8Array.of(...dhcpReply("350105"), ...input)),
  refusals: [],
  corpus: () => replies.map((reply) => reply.subarray(243)),
  maxBytes: 1296,
  share: 8,
};

const udp: FuzzedDecoder = {
  name: "IPv4 packet with DHCP",
  decode: unwrapUdp,
  refusals: [],
  corpus: () => {
    const mac = fromHex("525400000001");
    const discover = wrapInUdp(encodeRequest({ type: 1, transaction: 7, seconds: 0, mac }));
    const answer = wrapInUdp(Buffer.from(replies[0] ?? ""));
    // From the server's port to the client's: RFC 2131 §4.1.
    answer.set([0, 67, 0, 68], 20);
    return [discover, answer].map((packet) => Uint8Array.from(packet));
  },
  maxBytes: 600,
  share: 4,
};

const nonce = fromHex("0102030405060708");

const sntp: FuzzedDecoder = {
  name: "SNTP reply",
  decode: (input) => decodeSntpReply(input, nonce),
  refusals: [DecodeError],
  corpus: () => [
    sntpReply({ nonce, seconds: 3_155_587_200, fraction: 1 }),
    sntpReply({ nonce, seconds: 63_104, stratum: 0, reference: "RATE" }),
  ],
  maxBytes: 128,
  share: 1,
};

export const agentDecoders: readonly FuzzedDecoder[] = [
  commandLine,
  configuration,
  nestedConfiguration,
  dhcp,
  dhcpOptions,
  udp,
  sntp,
];
