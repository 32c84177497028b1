import { isDeepStrictEqual } from "node:util";
import { encodeFrame, encodeMessage, type Frame, FrameReader, parseMessage } from "../../lab/vm-codec.ts";
import type { FuzzedDecoder } from "../fuzzed-decoder.ts";
import type { Random } from "../random.ts";
import { fromHex } from "./corpus.ts";
import { mendChecksum } from "./mend-checksum.ts";

/** Frames of a stream that comes whole, and in pieces as the first byte says: both must be the same. */
function readFrames(input: Uint8Array): unknown {
  const stream = input.subarray(1);
  const whole = new FrameReader().push(stream);
  const size = 1 + ((input[0] ?? 0) & 7);
  const reader = new FrameReader();
  const pieces: Frame[] = [];
  for (let at = 0; at < stream.length; at += size) pieces.push(...reader.push(stream.subarray(at, at + size)));
  if (!isDeepStrictEqual(pieces, whole)) throw new Error(`pieces of ${size} bytes give other frames than the whole`);
  return whole.map((frame) => (frame.kind === "message" ? parseMessage(frame.bytes) : frame.bytes));
}

const message = (random: Random): Uint8Array =>
  encodeMessage({
    sequence: random.byte(),
    netFn: 7,
    lun: 0,
    cmd: random.byte(),
    data: Uint8Array.of(0, ...random.bytes(random.below(30)), 0xa0, 0xaa),
  });

function stream(random: Random): Uint8Array {
  const frames = Array.from({ length: 1 + random.below(3) }, () =>
    encodeFrame({ kind: "message", bytes: message(random) }),
  );
  return Uint8Array.from([random.byte(), ...fromHex("ff01a1 083fa1"), ...frames.flatMap((frame) => [...frame])]);
}

const makeTwelve = (make: (random: Random) => Uint8Array) => (random: Random) =>
  Array.from({ length: 12 }, () => make(random));

/** The connection between QEMU and a BMC outside. */
export const vmCodecDecoders: readonly FuzzedDecoder[] = [
  { name: "VM codec frames", decode: readFrames, refusals: [], corpus: makeTwelve(stream), maxBytes: 200, share: 4 },
  {
    name: "VM codec message",
    decode(input) {
      const data = input.slice();
      // Half of them with a right checksum.
      if (data.length % 2 === 0) mendChecksum(data, data.length - 1, 0, data.length);
      return parseMessage(data);
    },
    refusals: [],
    corpus: makeTwelve(message),
    share: 4,
  },
];
