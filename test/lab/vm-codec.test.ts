import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeFrame, encodeMessage, FrameReader, parseMessage } from "./vm-codec.ts";

const frames = fc.array(
  fc.record({ kind: fc.constantFrom("message" as const, "control" as const), bytes: fc.uint8Array({ maxLength: 40 }) }),
  { maxLength: 8 },
);

describe("VM codec", () => {
  test("frames survive the wire, however it cuts them", () => {
    fc.assert(
      fc.property(frames, fc.integer({ min: 1, max: 7 }), (sent, chunkBytes) => {
        const wire = sent.flatMap((frame) => [...encodeFrame(frame)]);
        const reader = new FrameReader();
        const received = [];
        for (let at = 0; at < wire.length; at += chunkBytes) {
          received.push(...reader.push(Uint8Array.from(wire.slice(at, at + chunkBytes))));
        }
        expect(received).toEqual(sent);
      }),
    );
  });

  test("QEMU's first words after connecting are two control commands", () => {
    const read = new FrameReader().push(Uint8Array.of(0xff, 0x01, 0xa1, 0x08, 0x3f, 0xa1));
    expect(read).toEqual([
      { kind: "control", bytes: Uint8Array.of(0xff, 0x01) },
      { kind: "control", bytes: Uint8Array.of(0x08, 0x3f) },
    ]);
  });

  test("Get Device ID as ipmi_sim sends it", () => {
    const bytes = encodeMessage({ sequence: 5, netFn: 0x06, lun: 0, cmd: 0x01, data: new Uint8Array() });
    expect([...bytes]).toEqual([0x05, 0x18, 0x01, 0xe2]);
    expect(parseMessage(bytes)).toEqual({ sequence: 5, netFn: 6, lun: 0, cmd: 1, data: new Uint8Array() });
  });

  test("a wrong checksum and a stub are no messages", () => {
    expect(parseMessage(Uint8Array.of(0x05, 0x18, 0x01, 0xe3))).toBeUndefined();
    expect(parseMessage(Uint8Array.of(0x05, 0x18))).toBeUndefined();
  });
});
