import { Reader, Writer } from "../../ipmi/codec.ts";
import { decodeRmcp, encodeRmcp } from "./rmcp.ts";

/**
 * The session headers between RMCP and the payload: IPMI v1.5 (IPMI 2.0 §13.6, table 13-8 left column) for requests
 * outside sessions, RMCP+ (right column) for the login and everything after it.
 */

/** IPMI 2.0 table 13-16. */
export const payloadTypes = {
  ipmi: 0x00,
  sol: 0x01,
  openSessionRequest: 0x10,
  openSessionResponse: 0x11,
  rakp1: 0x12,
  rakp2: 0x13,
  rakp3: 0x14,
  rakp4: 0x15,
} as const;
export type PayloadType = keyof typeof payloadTypes;

const authenticationTypeNone = 0x00;
const authenticationTypePlus = 0x06;
const encryptedBit = 0x80;
const authenticatedBit = 0x40;

/** An IPMI v1.5 packet outside any session, without authentication. */
export interface Packet15 {
  readonly format: "1.5";
  readonly sessionId: number;
  readonly sequence: number;
  /** One IPMI LAN message, at most 255 bytes. */
  readonly payload: Uint8Array;
}

/** An RMCP+ packet. What is encrypted or authenticated in it, `seal.ts` opens. */
export interface Packet20 {
  readonly format: "2.0";
  readonly payloadType: PayloadType;
  readonly encrypted: boolean;
  readonly authenticated: boolean;
  /** 0 outside a session. */
  readonly sessionId: number;
  /** 0 outside a session. */
  readonly sequence: number;
  readonly payload: Uint8Array;
}

function writeUint(to: Writer, value: number, bytes: 1 | 2 | 4): void {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * bytes))
    to.fail(`${value} is not ${bytes} bytes wide`);
  for (let i = 0; i < bytes; i += 1) to.byte(Math.floor(value / 2 ** (8 * i)) % 256);
}

function readUint(from: Reader, bytes: 1 | 2 | 4): number {
  let value = 0;
  for (let i = 0; i < bytes; i += 1) value += from.byte() * 2 ** (8 * i);
  return value;
}

/** @throws EncodeError if the message is longer than 255 bytes */
export function encodePacket15(payload: Uint8Array): Uint8Array {
  const to = new Writer("IPMI v1.5 packet");
  to.byte(authenticationTypeNone);
  writeUint(to, 0, 4);
  writeUint(to, 0, 4);
  to.inside("length", () => writeUint(to, payload.length, 1));
  to.bytes(payload);
  return encodeRmcp({ class: "ipmi", body: to.done() });
}

/** The RMCP+ header and the payload, from the authentication type on; without RMCP header and trailer. */
export function encodeBody20(packet: Omit<Packet20, "format">): Uint8Array {
  const to = new Writer("RMCP+ packet");
  to.byte(authenticationTypePlus);
  to.byte(
    payloadTypes[packet.payloadType] |
      (packet.encrypted ? encryptedBit : 0) |
      (packet.authenticated ? authenticatedBit : 0),
  );
  to.inside("session id", () => writeUint(to, packet.sessionId, 4));
  to.inside("sequence", () => writeUint(to, packet.sequence, 4));
  to.inside("length", () => writeUint(to, packet.payload.length, 2));
  to.bytes(packet.payload);
  return to.done();
}

/** An RMCP+ packet outside a session: neither encrypted nor authenticated. IPMI 2.0 §13.7. */
export function encodePacket20(payloadType: PayloadType, payload: Uint8Array): Uint8Array {
  const outside = { encrypted: false, authenticated: false, sessionId: 0, sequence: 0 };
  return encodeRmcp({ class: "ipmi", body: encodeBody20({ payloadType, payload, ...outside }) });
}

/**
 * Reads the headers of a datagram; checks neither authentication nor checksums.
 * @throws DecodeError
 */
export function decodePacket(datagram: Uint8Array): Packet15 | Packet20 {
  const rmcp = decodeRmcp(datagram);
  const from = new Reader("IPMI packet", rmcp.body);
  if (rmcp.class !== "ipmi") from.fail("not of class IPMI");
  const authenticationType = from.byte();
  if (authenticationType === authenticationTypePlus) return readPacket20(from);
  if (authenticationType !== authenticationTypeNone) {
    return from.fail(`authentication type ${authenticationType} is neither none (0) nor RMCP+ (6)`);
  }
  const sequence = readUint(from, 4);
  const sessionId = readUint(from, 4);
  return { format: "1.5", sequence, sessionId, payload: from.take(from.byte()) };
}

function readPacket20(from: Reader): Packet20 {
  const typeByte = from.byte();
  const number = typeByte & 0x3f;
  const payloadType = Object.keys(payloadTypes).find((name) => payloadTypes[name as PayloadType] === number);
  if (payloadType === undefined) return from.fail(`payload type ${number} is not known here`);
  const sessionId = readUint(from, 4);
  const sequence = readUint(from, 4);
  return {
    format: "2.0",
    payloadType: payloadType as PayloadType,
    encrypted: (typeByte & encryptedBit) !== 0,
    authenticated: (typeByte & authenticatedBit) !== 0,
    sessionId,
    sequence,
    payload: from.take(readUint(from, 2)),
  };
}
