import { allBootOptions } from "../../../ipmi/boot-options.ts";
import { allCommands, parseCipherSuiteRecords } from "../../../ipmi/commands/index.ts";
import { DecodeError } from "../../../ipmi/errors.ts";
import { isBogusUuid, parseUuid, sameGuid, uuidForms } from "../../../ipmi/guid.ts";
import { formatIpv4, formatIpv6, ipKind, parseIpv4, parseIpv6 } from "../../../ipmi/ip.ts";
import { allLanParameters } from "../../../ipmi/lan-parameters.ts";
import { formatMac, macProblem, parseMac } from "../../../ipmi/mac.ts";
import { decodeFirstPart, encodeFirstPart } from "../../../ipmi/system-info-parameters.ts";
import type { FuzzedDecoder } from "../fuzzed-decoder.ts";
import { encodingsOf, fromHex } from "./corpus.ts";

/** A decoder and its encoder that are declared field by field. */
function declared<T>(name: string, decode: (data: Uint8Array) => T, encode: (value: T) => Uint8Array): FuzzedDecoder {
  return {
    name,
    decode,
    refusals: [DecodeError],
    corpus: (random) => encodingsOf({ name, decode, encode }, random),
  };
}

const commands = allCommands.flatMap((command) => [
  declared(`${command.name} request`, command.decodeRequest, command.encodeRequest),
  declared(`${command.name} response`, command.decodeResponse, command.encodeResponse),
]);

const lanParameters = allLanParameters.map(({ name, selector, decode, encode }) =>
  declared(`LAN parameter ${selector} (${name})`, decode, encode),
);

const bootOptions = allBootOptions.map(({ name, selector, decode, encode }) =>
  declared(`boot option ${selector} (${name})`, decode, encode),
);

/** The lists of ipmi_sim, of OpenBMC (17 only) and one with a record of a maker's own (IPMI 2.0 table 22-18). */
const suiteLists = [
  "c00000 c00101 c0020141 c003014181 c0060241 c008024282",
  "c011034481",
  "c180570100 014181 c003014181",
].map(fromHex);

const systemInfo: FuzzedDecoder = {
  name: "System Info parameter",
  decode: decodeFirstPart,
  refusals: [DecodeError],
  corpus: () => ["", "Linux", "rivet-0123abcd"].map(encodeFirstPart),
};

const cipherSuites: FuzzedDecoder = {
  name: "cipher suite records",
  decode: parseCipherSuiteRecords,
  refusals: [DecodeError],
  corpus: () => suiteLists,
};

/** What reads a text: a value, or undefined. What it reads must come out the same when it is written and read again. */
function textReader(
  name: string,
  parse: (text: string) => Uint8Array | undefined,
  format: (data: Uint8Array) => string,
  texts: readonly string[],
): FuzzedDecoder {
  return {
    name,
    decode(input) {
      const data = parse(Buffer.from(input).toString("latin1"));
      if (data === undefined) return undefined;
      const again = parse(format(data));
      if (again === undefined || Buffer.compare(again, data) !== 0)
        throw new Error(`${format(data)} is read otherwise`);
      return data;
    },
    refusals: [],
    corpus: () => texts.map((text) => Uint8Array.from(Buffer.from(text, "latin1"))),
  };
}

const addresses: readonly FuzzedDecoder[] = [
  textReader("MAC address text", parseMac, formatMac, ["52:54:00:b1:00:01", "52-54-00-B1-00-01", "ff:ff:ff:ff:ff:ff"]),
  textReader("IPv4 address text", parseIpv4, formatIpv4, ["10.0.0.7", "255.255.255.255", "0.0.0.0", "169.254.3.4"]),
  textReader("IPv6 address text", parseIpv6, formatIpv6, [
    "::",
    "fe80::1",
    "2001:db8:0:1:1:1:1:1",
    "::ffff:10.0.0.7",
    "1:2:3:4:5:6:7:8",
  ]),
  textReader("UUID text", parseUuid, (data) => uuidForms(data).rfc4122, [
    "00112233-4455-6677-8899-aabbccddeeff",
    "4C4C4544-0042-4A10-8052-B7C04F354C32",
  ]),
  {
    name: "address and GUID bytes",
    decode(input) {
      const guid = input.length < 16 ? undefined : input.subarray(0, 16);
      if (guid === undefined) return [macProblem(input), sameGuid("00112233-4455-6677-8899-aabbccddeeff", input)];
      const forms = uuidForms(guid);
      const unequal = Object.values(forms).find((form) => !sameGuid(form, guid));
      if (unequal !== undefined) throw new Error(`${unequal} is not the GUID that it was made from`);
      return [
        forms,
        isBogusUuid(forms.ipmi),
        ipKind(guid),
        ipKind(guid.subarray(0, 4)),
        macProblem(guid.subarray(0, 6)),
      ];
    },
    refusals: [],
    corpus: () => [
      fromHex("00112233445566778899aabbccddeeff"),
      fromHex("00020003000400050006000700080009"),
      fromHex("ff"),
    ],
  },
];

/** Everything of the IPMI language but the FRU. */
export const ipmiDecoders: readonly FuzzedDecoder[] = [
  ...commands,
  ...lanParameters,
  ...bootOptions,
  cipherSuites,
  systemInfo,
  ...addresses,
];
