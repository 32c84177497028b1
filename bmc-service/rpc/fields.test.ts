import { describe, expect, test } from "vitest";
import { Timestamp } from "../../proto/gen/google/protobuf/timestamp.ts";
import { Fru } from "../../proto/gen/metalstack/bmc/v1/bmc.ts";
import { factsOf, mac1 } from "../fixture/enrolling.ts";
import { checkSizes, requireFacts } from "./fields.ts";

/** A FRU whose manufacturing date is that many seconds after 1970, as it comes off the wire. */
function fruOf(seconds: bigint): Fru {
  const made = Fru.encode(Fru.fromPartial({ boardManufacturedAt: new Date(0) })).finish();
  // The empty timestamp at the end gives way to the one that is wanted.
  const timestamp = Timestamp.encode({ seconds, nanos: 0 }).finish();
  return Fru.decode(Uint8Array.of(...made.subarray(0, -1), timestamp.length, ...timestamp));
}

test("a time beyond what a date can hold is refused: the store could not write it down", () => {
  const good = fruOf(1_715_949_240n);
  expect(good.boardManufacturedAt).toEqual(new Date("2024-05-17T12:34:00Z"));
  expect(() => checkSizes({ bmc: { fru: good } })).not.toThrow();
  for (const seconds of [8_640_000_000_001n, 2n ** 60n, -(2n ** 60n)]) {
    const bad = fruOf(seconds);
    expect(() => checkSizes({ bmc: { fru: bad } })).toThrow("bmc.fru.board_manufactured_at: it is no time");
    expect(() => Fru.encode(bad).finish()).toThrow(RangeError);
  }
});

test.each<[string, object, string]>([
  ["a text", { machine: { bios: { vendor: "x".repeat(1_025) } } }, "machine.bios.vendor: 1025 bytes of text"],
  ["its bytes, not its letters", { agentVersion: "€".repeat(342) }, "agent_version: 1026 bytes of text"],
  ["a sentence", { reason: "x".repeat(8_193) }, "reason: 8193 bytes of text, at most 8192"],
  ["one of a list", { gaps: ["", "x".repeat(8_193)] }, "gaps[1]: 8193 bytes"],
  ["a field in a list", { disks: [{ serialNumber: "x".repeat(1_025) }] }, "disks[0].serial_number: 1025 bytes"],
  ["a list", { disks: Array(1_025).fill({}) }, "disks: 1025 entries, at most 1024"],
  ["bytes", { certificateRequest: Buffer.alloc(1_025) }, "certificate_request: 1025 bytes, at most 1024"],
  [
    "a case of several",
    { found: { $case: "noBmc", value: { tried: [{ way: "x".repeat(1_025) }] } } },
    "no_bmc.tried[0].way: ",
  ],
])("too long is refused with the path of the field: %s", (_what, message, text) => {
  expect(() => checkSizes(message)).toThrow(text);
});

test("what is just not too long is taken", () => {
  const message = { vendor: "x".repeat(1_024), reason: "x".repeat(8_192), euros: "€".repeat(341), none: undefined };
  expect(() => checkSizes({ ...message, list: Array(1_024).fill(message), bytes: Buffer.alloc(1_024) })).not.toThrow();
});

describe("of the remarks of a report", () => {
  const note = (number: number) =>
    `${number} further remarks of this report are left out: they are too many or too long`;

  test.each<[string, readonly string[], readonly string[]]>([
    ["64 are kept", Array(64).fill("x"), Array(64).fill("x")],
    ["no more are", Array(70).fill("x"), [...Array(63).fill("x"), note(7)]],
    ["16 KiB are kept", Array(2).fill("x".repeat(8_192)), Array(2).fill("x".repeat(8_192))],
    ["no more is", Array(25).fill("x".repeat(8_192)), [...Array(2).fill("x".repeat(8_192)), note(23)]],
  ])("%s", (_what, findings, kept) => {
    expect(requireFacts("bmc", factsOf(mac1, { findings: [...findings] })).findings).toEqual(kept);
  });
});

test("a report whose facts are too large for a row is refused", () => {
  const remark = "x".repeat(8_192);
  const channels = [1, 2].map((channel) => ({ channel, mac: "", ipv4Address: "", remark }));
  expect(() => requireFacts("bmc", factsOf(mac1, { channels }))).toThrow(/^bmc: 16\d{3} bytes without findings/);
  expect(() => requireFacts("bmc", factsOf(mac1, { channels: channels.slice(1) }))).not.toThrow();
});
