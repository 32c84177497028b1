import { byte, decode, encode, inByte, Reader, reserved, struct, uint, uint8, uint32LE } from "../../ipmi/codec.ts";

/**
 * RMCP+ Open Session: the two sides choose algorithms and session ids. IPMI 2.0 §13.17, §13.18.
 */

/** One algorithm payload of 8 bytes: type 0 authentication, 1 integrity, 2 confidentiality. */
const algorithm = struct({
  type: uint8,
  reserved1: reserved(2),
  length: uint8,
  /** Tables 13-17, 13-18, 13-19. */
  number: inByte(uint(5, 0)),
  reserved2: reserved(3),
});

const algorithmPayloadBytes = 8;
const algorithmOf = (type: 0 | 1 | 2, number: number) => ({ type, length: algorithmPayloadBytes, number });

const requestFields = struct({
  tag: uint8,
  role: byte({ maximumPrivilege: uint(3, 0) }),
  reserved: reserved(2),
  consoleSessionId: uint32LE,
  authentication: algorithm,
  integrity: algorithm,
  confidentiality: algorithm,
});

const responseFields = struct({
  tag: uint8,
  status: uint8,
  role: byte({ maximumPrivilege: uint(3, 0) }),
  reserved: reserved(1),
  consoleSessionId: uint32LE,
  bmcSessionId: uint32LE,
  authentication: algorithm,
  integrity: algorithm,
  confidentiality: algorithm,
});

interface Algorithms {
  readonly authentication: number;
  readonly integrity: number;
  readonly confidentiality: number;
}

export interface OpenSessionRequest extends Algorithms {
  /** Comes back in the response. */
  readonly tag: number;
  /** 0: the highest that the chosen suite allows. */
  readonly maximumPrivilege: number;
  readonly consoleSessionId: number;
}

export interface OpenSessionAccepted extends Algorithms {
  readonly status: 0;
  readonly tag: number;
  readonly maximumPrivilege: number;
  readonly consoleSessionId: number;
  readonly bmcSessionId: number;
}

/** Refused: what follows the status varies between BMCs and is not read. */
export interface Refused {
  readonly tag: number;
  /** The status, other than 00h: table 13-15. */
  readonly refusal: number;
}

function flat(fields: {
  readonly authentication: { readonly number: number };
  readonly integrity: { readonly number: number };
  readonly confidentiality: { readonly number: number };
}): Algorithms {
  return {
    authentication: fields.authentication.number,
    integrity: fields.integrity.number,
    confidentiality: fields.confidentiality.number,
  };
}

function payloads(algorithms: Algorithms) {
  return {
    authentication: algorithmOf(0, algorithms.authentication),
    integrity: algorithmOf(1, algorithms.integrity),
    confidentiality: algorithmOf(2, algorithms.confidentiality),
  };
}

export function encodeOpenSessionRequest(request: OpenSessionRequest): Uint8Array {
  const { tag, maximumPrivilege, consoleSessionId } = request;
  return encode(
    requestFields,
    { tag, role: { maximumPrivilege }, consoleSessionId, ...payloads(request) },
    "RMCP+ Open Session Request",
  );
}

/** @throws DecodeError */
export function decodeOpenSessionRequest(payload: Uint8Array): OpenSessionRequest {
  const fields = decode(requestFields, payload, "RMCP+ Open Session Request", "ignored");
  const { tag, role, consoleSessionId } = fields;
  return { tag, maximumPrivilege: role.maximumPrivilege, consoleSessionId, ...flat(fields) };
}

export function encodeOpenSessionResponse(response: OpenSessionAccepted): Uint8Array {
  const { tag, status, maximumPrivilege, consoleSessionId, bmcSessionId } = response;
  return encode(
    responseFields,
    { tag, status, role: { maximumPrivilege }, consoleSessionId, bmcSessionId, ...payloads(response) },
    "RMCP+ Open Session Response",
  );
}

/** @throws DecodeError */
export function decodeOpenSessionResponse(payload: Uint8Array): OpenSessionAccepted | Refused {
  const refused = decodeRefused(payload, "RMCP+ Open Session Response");
  if (refused !== undefined) return refused;
  const fields = decode(responseFields, payload, "RMCP+ Open Session Response", "ignored");
  const { tag, role, consoleSessionId, bmcSessionId } = fields;
  return { status: 0, tag, maximumPrivilege: role.maximumPrivilege, consoleSessionId, bmcSessionId, ...flat(fields) };
}

/** Tag and status stand first in every answer of the login; undefined if the status is 00h. @throws DecodeError */
export function decodeRefused(payload: Uint8Array, what: string): Refused | undefined {
  const from = new Reader(what, payload);
  const tag = from.byte();
  const status = from.byte();
  return status === 0 ? undefined : { tag, refusal: status };
}

/** A refusal in any message of the login: tag, status, two reserved bytes, the receiver's session id. */
export function encodeRefused(refused: Refused, sessionId: number): Uint8Array {
  const fields = struct({ tag: uint8, refusal: uint8, reserved: reserved(2), sessionId: uint32LE });
  return encode(fields, { ...refused, sessionId }, "refusal");
}
