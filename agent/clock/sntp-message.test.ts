import { expect, test } from "vitest";
import { DecodeError } from "../../ipmi/errors.ts";
import { decodeSntpReply, encodeSntpRequest } from "./sntp-message.ts";
import { sntpReply } from "./sntp-server.fixture.ts";

const nonce = Buffer.from("0102030405060708", "hex");
/** 31 December 1999. RFC 5905 §6, figure 4. */
const seconds = 3_155_587_200;
const good = sntpReply({ nonce, seconds });

test("a question is of version 4, from a client, and tells nothing but its number", () => {
  expect(encodeSntpRequest(nonce).toString("hex")).toBe(`23${"00".repeat(39)}0102030405060708`);
});

test("an answer tells the time", () => {
  expect(decodeSntpReply(good, nonce)).toEqual({ kind: "time", time: new Date("1999-12-31T00:00:00Z") });
});

test("fractions are of a second, and the count begins anew in 2036 (RFC 5905 §6, figure 4)", () => {
  const half = sntpReply({ nonce, seconds, fraction: 0x8000_0000 });
  expect(decodeSntpReply(half, nonce)).toEqual({ kind: "time", time: new Date("1999-12-31T00:00:00.500Z") });
  const later = sntpReply({ nonce, seconds: 63_104 });
  expect(decodeSntpReply(later, nonce)).toEqual({ kind: "time", time: new Date("2036-02-08T00:00:00Z") });
});

test.each([
  ["to another question", sntpReply({ nonce: Buffer.alloc(8, 9), seconds })],
  ["from a client", sntpReply({ nonce, seconds, first: 0x23 })],
  ["to everybody", sntpReply({ nonce, seconds, first: 0x25 })],
])("an answer %s is none", (_name, bytes) => {
  expect(decodeSntpReply(bytes, nonce)).toBeUndefined();
});

test.each([
  ["kiss of death", sntpReply({ nonce, seconds, stratum: 0, reference: "RATE" }), 'it says "RATE"'],
  ["stratum 16", sntpReply({ nonce, seconds, stratum: 16 }), "it does not know the time itself"],
  ["alarm", sntpReply({ nonce, seconds, first: 0xe4 }), "it does not know the time itself"],
  ["no time", sntpReply({ nonce, seconds: 0 }), "it tells no time"],
])("%s is a refusal", (_name, bytes, why) => {
  expect(decodeSntpReply(bytes, nonce)).toEqual({ kind: "refused", why });
});

test("a piece of an answer is refused", () => {
  for (const length of [0, 1, 47]) {
    expect(() => decodeSntpReply(good.subarray(0, length), nonce)).toThrow(DecodeError);
  }
});
