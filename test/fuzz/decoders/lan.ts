import { createCipheriv, createHmac, createSecretKey } from "node:crypto";
import { DecodeError } from "../../../ipmi/errors.ts";
import { type CipherSuite, cipherSuites } from "../../../outband-client/lan/cipher-suite.ts";
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from "../../../outband-client/lan/lan-message.ts";
import {
  decodeOpenSessionRequest,
  decodeOpenSessionResponse,
  encodeOpenSessionRequest,
  encodeOpenSessionResponse,
  encodeRefused,
} from "../../../outband-client/lan/open-session.ts";
import { decodePacket, encodeBody20, encodePacket15, encodePacket20 } from "../../../outband-client/lan/packet.ts";
import {
  decodeRakp1,
  decodeRakp2,
  decodeRakp3,
  decodeRakp4,
  encodeRakp1,
  encodeRakp2,
  encodeRakp3,
  encodeRakp4,
} from "../../../outband-client/lan/rakp.ts";
import {
  decodePing,
  decodePong,
  decodeRmcp,
  encodePing,
  encodePong,
  encodeRmcp,
} from "../../../outband-client/lan/rmcp.ts";
import { Seal } from "../../../outband-client/lan/seal.ts";
import type { SessionKeys } from "../../../outband-client/lan/session-keys.ts";
import type { FuzzedDecoder } from "../fuzzed-decoder.ts";
import type { Random } from "../random.ts";
import { mendChecksum } from "./mend-checksum.ts";

function decoder(
  name: string,
  decode: (data: Uint8Array) => unknown,
  make: (random: Random) => Uint8Array,
  more: Partial<FuzzedDecoder> = {},
): FuzzedDecoder {
  return {
    name,
    decode,
    refusals: [DecodeError],
    corpus: (random) => Array.from({ length: 12 }, () => make(random)),
    maxBytes: 160,
    share: 3,
    ...more,
  };
}

const message = (random: Random) => ({
  netFn: 2 * random.below(32),
  cmd: random.byte(),
  sequence: random.below(64),
  data: random.bytes(random.below(40)),
});
const lanRequest = (random: Random) => encodeRequest({ ...message(random), lun: 0 });
const lanResponse = (random: Random) => encodeResponse({ ...message(random), completionCode: 0 });

/** The same request with both its checksums right, so that what lies behind them is reached. IPMI 2.0 figure 13-4. */
function decodeMendedRequest(input: Uint8Array): unknown {
  const data = input.slice();
  mendChecksum(data, 2, 0, 3);
  mendChecksum(data, data.length - 1, 3, data.length);
  return decodeRequest(data);
}

const algorithms = (random: Random) => {
  const { authentication, integrity, confidentiality } = random.pick<CipherSuite>(cipherSuites);
  return { authentication, integrity, confidentiality };
};
const openRequest = (random: Random) =>
  encodeOpenSessionRequest({
    tag: random.byte(),
    maximumPrivilege: 4,
    consoleSessionId: random.uint32(),
    ...algorithms(random),
  });
const openResponse = (random: Random) =>
  encodeOpenSessionResponse({
    status: 0,
    tag: random.byte(),
    maximumPrivilege: 4,
    consoleSessionId: random.uint32(),
    bmcSessionId: random.uint32(),
    ...algorithms(random),
  });

/** Some of the answers of a login are refusals. */
const orRefusal = (make: (random: Random) => Uint8Array) => (random: Random) =>
  random.below(4) === 0
    ? encodeRefused({ tag: random.byte(), refusal: 1 + random.below(18) }, random.uint32())
    : make(random);

const rakp1 = (random: Random) =>
  encodeRakp1({
    tag: random.byte(),
    bmcSessionId: random.uint32(),
    consoleRandom: random.bytes(16),
    role: 0x14,
    user: random.bytes(random.below(17)),
  });
const rakp2 = (codeBytes: number) => (random: Random) =>
  encodeRakp2({
    status: 0,
    tag: random.byte(),
    consoleSessionId: random.uint32(),
    bmcRandom: random.bytes(16),
    bmcGuid: random.bytes(16),
    code: random.bytes(codeBytes),
  });
const rakp3 = (random: Random) =>
  encodeRakp3({ tag: random.byte(), status: 0, bmcSessionId: random.uint32(), code: random.bytes(20) });
const rakp4 = (codeBytes: number) => (random: Random) =>
  encodeRakp4({ status: 0, tag: random.byte(), consoleSessionId: random.uint32(), code: random.bytes(codeBytes) });

const keysOf = (suite: CipherSuite, fill: number): SessionKeys => {
  const key = (size: number) => createSecretKey(new Uint8Array(size).fill(fill));
  return {
    sessionIntegrityKey: key(suite.hashBytes),
    integrity: key(suite.hashBytes),
    confidentiality: key(16),
  };
};

/** The authentication code that belongs behind these bytes. IPMI 2.0 §13.28.4. */
function codeOf(suite: CipherSuite, signed: Uint8Array): Buffer {
  const { integrity } = keysOf(suite, 7);
  return createHmac(suite.hash, integrity).update(signed).digest().subarray(0, suite.integrityBytes);
}

const inRmcp = (signed: Uint8Array, code: Uint8Array): Uint8Array =>
  encodeRmcp({ class: "ipmi", body: Uint8Array.of(...signed, ...code) });

/**
 * A packet from the authentication type to the next header (IPMI 2.0 table 13-8), encrypted with the key of `keysOf(_, 7)`. Not
 * by `Seal.close`, whose initialization vector is another one each time.
 */
function signedBody(random: Random): Uint8Array {
  const vector = random.bytes(16);
  const cipher = createCipheriv("aes-128-cbc", Buffer.alloc(16, 7), vector).setAutoPadding(false);
  const clear = random.bytes(16 * (1 + random.below(3)));
  const padding = random.below(16);
  // The pad length is the last byte; what the padding consists of is not looked at.
  clear[clear.length - 1] = padding;
  const payload = Uint8Array.of(...vector, ...cipher.update(clear), ...cipher.final());
  const ids = { sessionId: random.uint32(), sequence: random.uint32() };
  const body = encodeBody20({ payloadType: "ipmi", ...ids, payload, encrypted: true, authenticated: true });
  return Uint8Array.of(...body, 0xff, 0xff, 2, 7);
}

const sealed = cipherSuites.flatMap((suite: CipherSuite) => {
  const [right, wrong] = [7, 8].map((fill) => new Seal(suite, keysOf(suite, fill)));
  const whole = (random: Random) => {
    const signed = signedBody(random);
    return inRmcp(signed, codeOf(suite, signed));
  };
  return [
    decoder(`sealed packet, suite ${suite.id}`, (input) => right?.open(input), whole),
    decoder(`sealed packet for another session, suite ${suite.id}`, (input) => wrong?.open(input), whole, {
      refusesAll: true,
    }),
    // With the code made right the payload is decrypted, as it is when the BMC itself is the one that sends nonsense.
    decoder(
      `sealed packet with a right code, suite ${suite.id}`,
      (input) => right?.open(inRmcp(input, codeOf(suite, input))),
      signedBody,
    ),
  ];
});

/** Everything that comes from UDP port 623. */
export const lanDecoders: readonly FuzzedDecoder[] = [
  decoder("RMCP header", decodeRmcp, (random) => encodeRmcp({ class: "ipmi", body: random.bytes(random.below(20)) })),
  decoder("presence ping", decodePing, (random) => encodePing(random.byte())),
  decoder("presence pong", decodePong, (random) => encodePong({ tag: random.byte(), ipmi: true, asf: true })),
  decoder("IPMI v1.5 packet", decodePacket, (random) => encodePacket15(lanResponse(random))),
  decoder("RMCP+ packet", decodePacket, (random) =>
    encodePacket20(random.pick(["ipmi", "openSessionResponse", "rakp2", "rakp4"]), random.bytes(random.below(64))),
  ),
  decoder("IPMI LAN request", decodeRequest, lanRequest),
  decoder("IPMI LAN request with right checksums", decodeMendedRequest, lanRequest),
  decoder("IPMI LAN response", decodeResponse, lanResponse),
  decoder("RMCP+ Open Session Request", decodeOpenSessionRequest, openRequest),
  decoder("RMCP+ Open Session Response", decodeOpenSessionResponse, orRefusal(openResponse)),
  decoder("RAKP Message 1", decodeRakp1, rakp1),
  ...cipherSuites.flatMap(({ id, hashBytes, integrityBytes }) => [
    decoder(`RAKP Message 2, suite ${id}`, (data) => decodeRakp2(data, hashBytes), orRefusal(rakp2(hashBytes))),
    decoder(
      `RAKP Message 4, suite ${id}`,
      (data) => decodeRakp4(data, integrityBytes),
      orRefusal(rakp4(integrityBytes)),
    ),
  ]),
  decoder("RAKP Message 3", decodeRakp3, rakp3),
  ...sealed,
];
