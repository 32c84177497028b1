import { DecodeError } from "../../ipmi/errors.ts";
import type { FuzzedDecoder } from "./fuzzed-decoder.ts";

/** Decoders with the faults that the fuzzer is there to find; they begin to show when an input begins with this byte. */
const trigger = 0x2a;

function broken(name: string, fault: (input: Uint8Array) => unknown): FuzzedDecoder {
  return {
    name,
    decode: (input) => (input[0] === trigger ? fault(input) : input.length),
    refusals: [DecodeError],
    corpus: () => [Uint8Array.of(trigger, 1, 2, 3), Uint8Array.of(7, 7)],
    maxBytes: 8,
  };
}

/** What has stayed from one call to the next. */
const kept: Uint8Array[] = [];

export const decoders: readonly FuzzedDecoder[] = [
  broken("good", () => {
    throw new DecodeError("input", 0, "refused");
  }),
  broken("wrong error", (input) => new DataView(input.buffer).getUint32(4096)),
  broken("wrong error, later", async () => {
    await Promise.resolve();
    throw new TypeError("late");
  }),
  broken("error that nobody waits for", () => {
    void Promise.reject(new TypeError("unheard"));
    return 1;
  }),
  broken("endless recursion", function again(input): unknown {
    return [again(input)];
  }),
  broken("endless", () => {
    for (;;);
  }),
  broken("large value", () => new Uint8Array(1_000_000)),
  broken("slow", () => {
    const before = process.threadCpuUsage();
    while (process.threadCpuUsage(before).user < 3_000);
    return 1;
  }),
  broken("fills the memory", () => {
    const all: number[][] = [];
    for (;;) all.push(new Array<number>(1_000_000).fill(all.length));
  }),
  broken("takes more than it gives", () => new Uint8Array(48 * 2 ** 20).length),
  broken("keeps everything", () => kept.push(new Uint8Array(1_000_000)) && 1),
  {
    ...broken("takes what it must refuse", () => 1),
    decode: ([first]) => (first === trigger ? 1 : undefined),
    refusesAll: true,
  },
];
