import { createHmac, createSecretKey } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DecodeError, EncodeError } from "../../ipmi/errors.ts";
import { cipherSuites, suite3 } from "./cipher-suite.ts";
import { decodeRequest, decodeResponse, encodeRequest, encodeResponse, MAX_REQUEST_BYTES } from "./lan-message.ts";
import { decodeOpenSessionRequest, decodeOpenSessionResponse, encodeRefused } from "./open-session.ts";
import { decodePacket, encodeBody20, encodePacket15, encodePacket20 } from "./packet.ts";
import { decodeRakp1, decodeRakp2, decodeRakp3, decodeRakp4, encodeRakp1 } from "./rakp.ts";
import { decodePing, decodePong, decodeRmcp, encodePing, encodePong, encodeRmcp } from "./rmcp.ts";
import { Seal } from "./seal.ts";
import { OutboundSequence, SequenceWindow } from "./sequence-window.ts";

const secret = (size: number) => createSecretKey(new Uint8Array(size).fill(7));
const seal = (suite = suite3 as (typeof cipherSuites)[number]) =>
  new Seal(suite, {
    sessionIntegrityKey: secret(suite.hashBytes),
    integrity: secret(suite.hashBytes),
    confidentiality: secret(16),
  });

const decoders: Record<string, (bytes: Uint8Array) => unknown> = {
  decodeRmcp,
  decodePing,
  decodePong,
  decodePacket,
  decodeRequest,
  decodeResponse,
  decodeOpenSessionRequest,
  decodeOpenSessionResponse,
  decodeRakp1,
  decodeRakp2: (bytes) => decodeRakp2(bytes, 32),
  decodeRakp3,
  decodeRakp4: (bytes) => decodeRakp4(bytes, 12),
  "Seal.open": (bytes) => seal().open(bytes),
};

function failsOnlyWithDecodeError(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    decode(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError);
  }
}

describe.each(Object.entries(decoders))("%s", (_name, decode) => {
  it("takes any bytes or fails with a DecodeError", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => failsOnlyWithDecodeError(decode, bytes)));
  });

  it("the same behind valid headers", () => {
    const headers = fc.constantFrom("0600ff07", "0600ff06", "0600ff06000011be40", "0600ff0706c0", "0600ff070611");
    fc.assert(
      fc.property(headers, fc.uint8Array({ maxLength: 100 }), (header, bytes) => {
        const prefix = Buffer.from(header, "hex");
        failsOnlyWithDecodeError(decode, Uint8Array.of(...prefix, ...bytes));
      }),
    );
  });
});

const data = fc.uint8Array({ maxLength: MAX_REQUEST_BYTES });
const even = fc.integer({ min: 0, max: 31 }).map((each) => 2 * each);
const small = (max: number) => fc.integer({ min: 0, max });

describe("what is encoded decodes to the same", () => {
  it("IPMI LAN requests and responses", () => {
    fc.assert(
      fc.property(even, small(3), small(255), small(63), data, (netFn, lun, cmd, sequence, bytes) => {
        const request = { netFn, lun, cmd, sequence, data: bytes };
        expect(decodeRequest(encodeRequest(request))).toEqual(request);
        const response = { netFn, cmd, sequence, completionCode: lun, data: bytes };
        expect(decodeResponse(encodeResponse(response))).toEqual(response);
      }),
    );
  });

  it("every truncation of a message is refused", () => {
    const request = encodeRequest({ netFn: 6, lun: 0, cmd: 1, sequence: 5, data: Uint8Array.of(1, 2, 3) });
    for (let size = 0; size < request.length; size += 1) {
      expect(() => decodeRequest(request.subarray(0, size)), `${size} bytes`).toThrow(DecodeError);
    }
  });

  it("a request with a wrong checksum is refused, a response with one is taken", () => {
    const request = encodeRequest({ netFn: 6, lun: 0, cmd: 1, sequence: 5, data: Uint8Array.of(1, 2, 3) });
    const response = encodeResponse({ netFn: 6, cmd: 1, sequence: 5, completionCode: 0, data: Uint8Array.of(1, 2) });
    for (const at of [2, -1]) {
      const wrong = (bytes: Uint8Array) => bytes.with(at, ((bytes.at(at) ?? 0) + 1) & 0xff);
      expect(() => decodeRequest(wrong(request))).toThrow(DecodeError);
      expect(decodeResponse(wrong(response))).toEqual(decodeResponse(response));
    }
  });

  it("packets outside sessions", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 255 }), (payload) => {
        expect(decodePacket(encodePacket15(payload))).toMatchObject({ format: "1.5", sessionId: 0, payload });
        const plus = { format: "2.0", payloadType: "rakp1", encrypted: false, authenticated: false, payload };
        expect(decodePacket(encodePacket20("rakp1", payload))).toMatchObject(plus);
      }),
    );
  });

  it.each([...cipherSuites])("sealed packets of any size, suite $id", (suite) => {
    const each = seal(suite);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 2 ** 32 - 1 }), (payload, number) => {
        const packet = { payloadType: "ipmi", sessionId: number, sequence: number, payload } as const;
        const datagram = each.close(packet);
        expect(each.open(datagram)).toEqual(packet);
        // IPMI 2.0 table 13-8: from the authentication type to the next header, a multiple of 4.
        expect((datagram.length - 4 - suite.integrityBytes) % 4).toBe(0);
      }),
    );
  });

  it.each([
    { encrypted: false, authenticated: true },
    { encrypted: true, authenticated: false },
    { encrypted: false, authenticated: false },
  ])("a packet of a session with %o is refused, though its authentication code is right", (flags) => {
    const sealed = decodePacket(
      seal().close({ payloadType: "ipmi", sessionId: 7, sequence: 1, payload: new Uint8Array(8) }),
    );
    const header = { payloadType: "ipmi", sessionId: 7, sequence: 1, payload: sealed.payload } as const;
    const signedWith = (each: { encrypted: boolean; authenticated: boolean }) => {
      const body = encodeBody20({ ...header, ...each });
      const signed = Uint8Array.of(...body, 0xff, 0xff, 2, 7);
      const code = createHmac("sha1", secret(20)).update(signed).digest().subarray(0, 12);
      return encodeRmcp({ class: "ipmi", body: Uint8Array.of(...signed, ...code) });
    };
    expect(seal().open(signedWith({ encrypted: true, authenticated: true })).payload).toEqual(new Uint8Array(8));
    expect(() => seal().open(signedWith(flags))).toThrow(DecodeError);
  });

  it("presence ping and pong", () => {
    expect(decodePing(encodePing(42))).toBe(42);
    for (const pong of [
      { tag: 1, ipmi: true, asf: true },
      { tag: 2, ipmi: false, asf: true },
    ]) {
      expect(decodePong(encodePong(pong))).toEqual(pong);
    }
    expect(() => decodePong(encodePing(1))).toThrow(DecodeError);
    // IPMI 2.0 §13.2.3, table 13-5: the bytes of a ping.
    expect(Buffer.from(encodePing(9)).toString("hex")).toBe("0600ff06000011be80090000");
    expect(() => decodeRmcp(encodeRmcp({ class: "ipmi", body: new Uint8Array(3) }).fill(0x88, 3))).toThrow(DecodeError);
  });
});

describe("encoders refuse what does not fit", () => {
  const ids = { tag: 0, bmcSessionId: 1, consoleRandom: new Uint8Array(16), role: 0x14 };
  it("a user name of 17 bytes", () => {
    expect(() => encodeRakp1({ ...ids, user: new Uint8Array(17) })).toThrow(EncodeError);
  });
  it("a message of 256 bytes in an IPMI v1.5 packet", () => {
    expect(() => encodePacket15(new Uint8Array(256))).toThrow(EncodeError);
  });
  it("a request that is too long", () => {
    const request = { netFn: 6, lun: 0, cmd: 1, sequence: 0, data: new Uint8Array(MAX_REQUEST_BYTES + 1) };
    expect(() => encodeRequest(request)).toThrow(EncodeError);
  });
  it("a refusal carries the status and the session id", () => {
    expect(encodeRefused({ tag: 3, refusal: 0x0d }, 0x01020304)).toEqual(Uint8Array.of(3, 0x0d, 0, 0, 4, 3, 2, 1));
    expect(decodeRakp2(Uint8Array.of(3, 0x0d), 20)).toEqual({ tag: 3, refusal: 0x0d });
  });
});

describe("session sequence numbers", () => {
  it("each is taken once, in whatever order they come within the window", () => {
    const window = new SequenceWindow();
    expect([1, 2, 2, 5, 3, 4, 4, 5, 1, 0].map((each) => window.take(each))).toEqual([
      true,
      true,
      false,
      true,
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  it("those more than 31 behind are too old", () => {
    const window = new SequenceWindow();
    window.take(100);
    expect(window.take(69)).toBe(true);
    expect(window.take(68)).toBe(false);
    window.take(1000);
    expect(window.take(999)).toBe(true);
    expect(window.take(100)).toBe(false);
  });

  it("go round at 2^32 and leave out 0", () => {
    const window = new SequenceWindow();
    const sequence = new OutboundSequence(2 ** 32 - 2);
    expect([2 ** 31 - 1, 2 ** 32 - 3].map((each) => window.take(each))).toEqual([true, true]);
    const numbers = [sequence.next(), sequence.next()];
    expect(numbers).toEqual([2 ** 32 - 1, 1]);
    expect(numbers.map((each) => window.take(each))).toEqual([true, true]);
    expect(window.take(2 ** 32 - 1)).toBe(false);
  });

  it("no number is ever taken twice", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 80 }), { maxLength: 200 }), (numbers) => {
        const window = new SequenceWindow();
        const taken = numbers.filter((each) => window.take(each));
        expect(new Set(taken).size).toBe(taken.length);
        expect(taken).not.toContain(0);
      }),
    );
  });
});
