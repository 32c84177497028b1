import { decode, encode, Reader, reserved, rest, struct, uint8 } from "../../ipmi/codec.ts";

/**
 * Remote Management Control Protocol: the 4 bytes in front of everything on UDP port 623.
 * IPMI 2.0 §13.1.3, ASF 2.0 §3.2.2.
 */

/** The well-known UDP port of a BMC ("primary RMCP port"). IPMI 2.0 §13.1.2. */
export const RMCP_PORT = 623;

const classes = { asf: 0x06, ipmi: 0x07 } as const;
export type RmcpClass = keyof typeof classes;

const version = 0x06;
/** No RMCP acknowledge wanted; IPMI never uses them. */
const noAcknowledge = 0xff;

export interface RmcpPacket {
  readonly class: RmcpClass;
  /** What follows the 4 bytes of the RMCP header. */
  readonly body: Uint8Array;
}

export function encodeRmcp(packet: RmcpPacket): Uint8Array {
  return Uint8Array.of(version, 0, noAcknowledge, classes[packet.class], ...packet.body);
}

/** @throws DecodeError for another version, an acknowledge, or a class that is neither ASF nor IPMI */
export function decodeRmcp(packet: Uint8Array): RmcpPacket {
  const from = new Reader("RMCP header", packet);
  if (from.byte() !== version) from.fail("not RMCP version 1.0 (06h)");
  from.take(2);
  // Bit 7 marks an acknowledge, bits 4:0 are the class.
  const number = from.byte() & 0x9f;
  const body = from.take(from.remaining);
  if (number === classes.asf) return { class: "asf", body };
  if (number === classes.ipmi) return { class: "ipmi", body };
  return from.fail(`class ${number} is neither ASF (6) nor IPMI (7)`);
}

/** The IANA enterprise number of ASF, 4542, most significant byte first. */
const asfEnterprise = [0x00, 0x00, 0x11, 0xbe] as const;
const presencePing = 0x80;
const presencePong = 0x40;

const asfMessage = struct({
  enterprise0: uint8,
  enterprise1: uint8,
  enterprise2: uint8,
  enterprise3: uint8,
  type: uint8,
  tag: uint8,
  reserved: reserved(1),
  length: uint8,
  data: rest(0, 255),
});

function encodeAsf(type: number, tag: number, data: Uint8Array): Uint8Array {
  const [enterprise0, enterprise1, enterprise2, enterprise3] = asfEnterprise;
  const body = encode(
    asfMessage,
    { enterprise0, enterprise1, enterprise2, enterprise3, type, tag, length: data.length, data },
    "ASF message",
  );
  return encodeRmcp({ class: "asf", body });
}

/**
 * Presence Ping: asks whether somebody speaks RMCP here. ASF 2.0 §3.2.4.2, IPMI 2.0 §13.2.3.
 * @param tag 0-254, comes back in the pong
 */
export function encodePing(tag: number): Uint8Array {
  return encodeAsf(presencePing, tag, new Uint8Array(0));
}

/** What a BMC says of itself in a Presence Pong. ASF 2.0 §3.2.4.3, IPMI 2.0 §13.2.4. */
export interface Pong {
  readonly tag: number;
  /** Whether IPMI is spoken behind this port. */
  readonly ipmi: boolean;
  /** Whether ASF 1.0 is spoken behind this port. */
  readonly asf: boolean;
}

export function encodePong(pong: Pong): Uint8Array {
  const entities = (pong.ipmi ? 0x80 : 0) | (pong.asf ? 0x01 : 0);
  return encodeAsf(presencePong, pong.tag, Uint8Array.of(...asfEnterprise, 0, 0, 0, 0, entities, 0, 0, 0, 0, 0, 0, 0));
}

interface AsfMessage {
  readonly type: number;
  readonly tag: number;
  readonly data: Uint8Array;
}

function decodeAsf(packet: Uint8Array, what: string): AsfMessage {
  const rmcp = decodeRmcp(packet);
  const from = new Reader(what, rmcp.body);
  if (rmcp.class !== "asf") from.fail("not of class ASF");
  const message = decode(asfMessage, rmcp.body, what, "ignored");
  const enterprise = [message.enterprise0, message.enterprise1, message.enterprise2, message.enterprise3];
  if (!asfEnterprise.every((each, i) => each === enterprise[i])) from.fail("not of enterprise 4542 (ASF)");
  if (message.data.length < message.length)
    from.fail(`${message.length} bytes of data named, ${message.data.length} there`);
  return { type: message.type, tag: message.tag, data: message.data.subarray(0, message.length) };
}

/** @returns the tag of a Presence Ping. @throws DecodeError */
export function decodePing(packet: Uint8Array): number {
  const message = decodeAsf(packet, "ASF Presence Ping");
  if (message.type !== presencePing) new Reader("ASF Presence Ping", packet).fail(`message type ${message.type}`);
  return message.tag;
}

/** @throws DecodeError */
export function decodePong(packet: Uint8Array): Pong {
  const message = decodeAsf(packet, "ASF Presence Pong");
  const from = new Reader("ASF Presence Pong", message.data);
  if (message.type !== presencePong) from.fail(`message type ${message.type} is not 40h`);
  from.take(8);
  const entities = from.byte();
  return { tag: message.tag, ipmi: (entities & 0x80) !== 0, asf: (entities & 0x0f) === 1 };
}
