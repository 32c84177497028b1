import { Reader } from "../../ipmi/codec.ts";
import { EncodeError } from "../../ipmi/errors.ts";
import type { Message, Reply } from "../../ipmi/transport.ts";

/**
 * The IPMI message inside a LAN packet: addresses, two checksums, requester's sequence number.
 * IPMI 2.0 §13.8, figure 13-4.
 */

/** The BMC's address on IPMB; responder of every request. */
const bmcAddress = 0x20;
/** Software id of a remote console; requester of every request. IPMI 2.0 §5.5. */
const consoleAddress = 0x81;

/** Sequence numbers of requests are 6 bits wide. */
export const SEQUENCE_LIMIT = 64;

/** Address, netFn/LUN, checksum, address, sequence/LUN, command, checksum. */
const requestOverhead = 7;
/**
 * The most bytes of request data: the length in the v1.5 session header is one byte, and RMCP+ BMCs need not take more.
 */
export const MAX_REQUEST_BYTES = 255 - requestOverhead;

/** A request, with the number that its response will carry. */
export interface LanRequest extends Message {
  /** 0-63. */
  readonly sequence: number;
}

/** A response, with what tells to which request it belongs. */
export interface LanResponse extends Reply {
  /** The request's network function (even). */
  readonly netFn: number;
  readonly cmd: number;
  readonly sequence: number;
}

/** Two's complement of the sum: all bytes and the checksum sum to 0 modulo 256. */
function checksum(bytes: readonly number[]): number {
  return -bytes.reduce((sum, each) => sum + each, 0) & 0xff;
}

function frame(to: number, netFnLun: number, from: number, sequenceLun: number, rest: readonly number[]): Uint8Array {
  const head = [to, netFnLun];
  const body = [from, sequenceLun, ...rest];
  return Uint8Array.of(...head, checksum(head), ...body, checksum(body));
}

function checkRange(field: string, value: number, limit: number): void {
  if (!Number.isInteger(value) || value < 0 || value >= limit) {
    throw new EncodeError(`IPMI LAN message: ${field}`, `${value} is not an integer from 0 to ${limit - 1}`);
  }
}

/** @throws EncodeError */
export function encodeRequest(request: LanRequest): Uint8Array {
  checkRange("netFn", request.netFn, 64);
  checkRange("lun", request.lun, 4);
  checkRange("cmd", request.cmd, 256);
  checkRange("sequence", request.sequence, SEQUENCE_LIMIT);
  checkRange("size of the data", request.data.length, MAX_REQUEST_BYTES + 1);
  const { netFn, lun, sequence, cmd, data } = request;
  return frame(bmcAddress, (netFn << 2) | lun, consoleAddress, sequence << 2, [cmd, ...data]);
}

export function encodeResponse(response: LanResponse): Uint8Array {
  const { netFn, sequence, cmd, completionCode, data } = response;
  return frame(consoleAddress, (netFn | 1) << 2, bmcAddress, sequence << 2, [cmd, completionCode, ...data]);
}

/** Reads the header; leaves the reader at the command byte. */
function unframe(what: string, bytes: Uint8Array, least: number) {
  const from = new Reader(what, bytes);
  if (bytes.length < least) from.fail(`${least} bytes needed, ${bytes.length} there`);
  from.byte();
  const netFnLun = from.byte();
  from.take(2);
  const sequenceLun = from.byte();
  return { from, netFn: netFnLun >> 2, netFnLun, sequenceLun, sequence: sequenceLun >> 2 };
}

/** @throws DecodeError */
export function decodeRequest(bytes: Uint8Array): LanRequest {
  const { from, netFn, netFnLun, sequence } = unframe("IPMI LAN request", bytes, requestOverhead);
  if (checksum([...bytes.subarray(0, 3)]) !== 0) from.fail("wrong header checksum");
  if (checksum([...bytes.subarray(3)]) !== 0) from.fail("wrong data checksum");
  if (netFn % 2 !== 0) from.fail(`network function ${netFn} is a response's`);
  const cmd = from.byte();
  return { netFn, lun: netFnLun & 3, cmd, sequence, data: from.take(from.remaining - 1) };
}

/**
 * Addresses are not compared: some BMCs answer with another software id, and sequence, netFn and command tell enough.
 * Nor are the two checksums: Supermicro X9 boards send wrong ones. In a session the authentication code vouches for the
 * bytes; outside it the checksum of UDP does, and nothing is decided that the login does not decide again.
 * @throws DecodeError
 */
export function decodeResponse(bytes: Uint8Array): LanResponse {
  const { from, netFn, sequence } = unframe("IPMI LAN response", bytes, requestOverhead + 1);
  if (netFn % 2 !== 1) from.fail(`network function ${netFn} is a request's`);
  const cmd = from.byte();
  const completionCode = from.byte();
  return { netFn: netFn - 1, cmd, sequence, completionCode, data: from.take(from.remaining - 1) };
}
