import { getHeapStatistics } from "node:v8";
import { baseValueBytes, defaults, type FuzzedDecoder } from "./fuzzed-decoder.ts";
import { mutate, noise } from "./mutate.ts";
import { Random } from "./random.ts";
import { shrink } from "./shrink.ts";
import { valueSize } from "./value-size.ts";

/** What came out for one decoder. */
export interface DecoderResult {
  readonly name: string;
  readonly inputs: number;
  readonly values: number;
  readonly refusals: number;
  /** The longest that one input took, in processor time. */
  readonly longestMs: number;
  readonly failure?: FuzzFailure;
}

/** An input on which a decoder does what it must not. */
export interface FuzzFailure {
  readonly kind: "error" | "slow" | "hang" | "value size" | "memory";
  readonly decoder: string;
  /** Which of the decoder's inputs it was, from 0. */
  readonly index: number;
  readonly input: Uint8Array;
  /** The same fault with fewer bytes, where it could be looked for. */
  readonly smallest?: Uint8Array;
  /** For an error its stack, else a sentence. */
  readonly detail: string;
}

export interface FuzzLimits {
  /** Processor time for one input; the best of three counts, because the collector may come in between. */
  readonly inputMs: number;
  /** By which the heap may grow for one input, garbage included; also the best of three. */
  readonly inputBytes: number;
  /** By which it may have grown when the decoder is done, garbage collected where the collector can be called. */
  readonly leftBytes: number;
}

export const fuzzLimits: FuzzLimits = { inputMs: 200, inputBytes: 16 * 2 ** 20, leftBytes: 24 * 2 ** 20 };

export interface FuzzOptions {
  readonly inputs: number;
  readonly seed: number;
  readonly limits?: FuzzLimits;
  /** Called with each input before it is decoded, for whoever watches from outside. */
  readonly beforeInput?: (index: number, input: Uint8Array) => void;
  /** Runs the garbage collector, where that is possible. */
  readonly collectGarbage?: () => void;
}

/** Bytes that the heap holds, buffers outside it included. */
function heldBytes(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

/** The inputs of one decoder: even ones are noise, odd ones are valid encodings with mistakes. Each depends on its number alone. */
export function inputsOf(decoder: FuzzedDecoder, seed: number): (index: number) => Uint8Array {
  const { maxBytes = defaults.maxBytes, noise: makeNoise = noise } = decoder;
  const corpus = decoder.corpus(new Random(seed, decoder.name, "corpus"));
  return (index) => {
    const random = new Random(seed, decoder.name, index);
    return index % 2 === 0 ? makeNoise(random, maxBytes) : mutate(corpus, random, maxBytes);
  };
}

/** Feeds a decoder until all inputs are done or one of them shows a fault. */
export async function fuzzDecoder(decoder: FuzzedDecoder, options: FuzzOptions): Promise<DecoderResult> {
  const { inputs, seed, limits = fuzzLimits, beforeInput, collectGarbage } = options;
  const inputAt = inputsOf(decoder, seed);
  const counts = { values: 0, refusals: 0, longestMs: 0 };
  const result = (done: number, failure?: FuzzFailure): DecoderResult => ({
    name: decoder.name,
    inputs: done,
    ...counts,
    ...(failure === undefined ? {} : { failure }),
  });
  collectGarbage?.();
  const heldAtStart = heldBytes();
  for (let index = 0; index < inputs; index += 1) {
    const input = inputAt(index);
    beforeInput?.(index, input);
    const pending = tryInput(decoder, input, limits);
    // Waiting costs more than most decoders take.
    const tried = pending instanceof Promise ? await pending : pending;
    counts.longestMs = Math.max(counts.longestMs, tried.ms);
    const { fault } = tried;
    if (fault !== undefined) {
      const smallest = await shrink(input, async (smaller) => {
        beforeInput?.(index, smaller);
        return sameFault((await tryInput(decoder, smaller, limits)).fault, fault);
      });
      return result(index + 1, { ...fault, decoder: decoder.name, index, input, smallest });
    }
    counts[tried.outcome] += 1;
  }
  collectGarbage?.();
  const left = heldBytes() - heldAtStart;
  if (collectGarbage !== undefined && left > limits.leftBytes) {
    const detail = `${megabytes(left)} are kept after ${inputs} inputs; this is the last of them`;
    const last = { index: inputs - 1, input: inputAt(inputs - 1) };
    return result(inputs, { kind: "memory", decoder: decoder.name, ...last, detail });
  }
  return result(inputs);
}

const megabytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MB`;

/** The same kind, and of an error the same first words: its class. */
function sameFault(found: Fault | undefined, wanted: Fault): boolean {
  return found?.kind === wanted.kind && (found.kind !== "error" || firstWord(found) === firstWord(wanted));
}

const firstWord = ({ detail }: Fault): string => /^\w*/.exec(detail)?.[0] ?? "";

type Fault = Pick<FuzzFailure, "kind" | "detail">;
type Outcome = "values" | "refusals";

interface Tried {
  readonly ms: number;
  readonly outcome: Outcome;
  readonly fault?: Fault;
}

/** What decoding an input took. */
interface Cost {
  readonly ms: number;
  /** By which the heap grew; less than nothing if the collector came in between. */
  readonly bytes: number;
}

/** Decodes one input and judges what came of it. Also used to repeat one that failed. */
export function tryInput(
  decoder: FuzzedDecoder,
  input: Uint8Array,
  limits: FuzzLimits = fuzzLimits,
): Tried | Promise<Tried> {
  const cost = startMeasuring();
  const judge = (judgement: (ms: number) => Tried | Promise<Tried>): Tried | Promise<Tried> => {
    const first = cost();
    const isWithin = first.ms <= limits.inputMs && first.bytes <= limits.inputBytes;
    return isWithin ? judgement(first.ms) : judgeCost(decoder, input, limits, first, judgement);
  };
  const onValue = (value: unknown) => judge((ms) => judgeValue(decoder, input, value, ms));
  const onError = (error: unknown) => judge((ms) => judgeError(decoder, input, error, ms));
  let value: unknown;
  try {
    value = decoder.decode(input);
  } catch (error) {
    return onError(error);
  }
  return value instanceof Promise ? value.then(onValue, onError) : onValue(value);
}

/** Processor time of this thread: the machine may be busy with other things. */
function spentMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** @returns what to call when it is over */
function startMeasuring(): () => Cost {
  const [held, started] = [heldBytes(), spentMs()];
  return () => ({ ms: spentMs() - started, bytes: heldBytes() - held });
}

function judgeValue(decoder: FuzzedDecoder, input: Uint8Array, value: unknown, ms: number): Tried {
  if (decoder.refusesAll === true && value !== undefined) {
    return { ms, outcome: "values", fault: { kind: "error", detail: "this should have been refused" } };
  }
  const bound = baseValueBytes + (decoder.growth ?? defaults.growth) * input.length;
  const size = valueSize(value, bound);
  if (size <= bound) return { ms, outcome: value === undefined ? "refusals" : "values" };
  const detail = `${input.length} bytes became a value of more than ${bound}`;
  return { ms, outcome: "values", fault: { kind: "value size", detail } };
}

function judgeError(decoder: FuzzedDecoder, input: Uint8Array, error: unknown, ms: number): Tried | Promise<Tried> {
  if (decoder.refusals.some((refusal) => error instanceof refusal)) return { ms, outcome: "refusals" };
  return stackOf(decoder, input, error).then((detail) => ({
    ms,
    outcome: "refusals",
    fault: { kind: "error", detail },
  }));
}

/** Where it was thrown; who runs many inputs may have switched stacks off, because they cost more than decoding. */
async function stackOf(decoder: FuzzedDecoder, input: Uint8Array, error: unknown): Promise<string> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 20;
  try {
    await decoder.decode(input);
  } catch (again) {
    return again instanceof Error ? (again.stack ?? again.message) : `thrown: ${String(again)}`;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
  return `${String(error)} (the second time it did not come)`;
}

/** An input that took too much gets two more chances: the collector may have come in between. */
async function judgeCost(
  decoder: FuzzedDecoder,
  input: Uint8Array,
  limits: FuzzLimits,
  first: Cost,
  judgement: (ms: number) => Tried | Promise<Tried>,
): Promise<Tried> {
  let { ms, bytes } = first;
  for (let again = 0; again < 2; again += 1) {
    const cost = startMeasuring();
    await decodeAgain(decoder, input);
    const taken = cost();
    ms = Math.min(ms, taken.ms);
    bytes = Math.min(bytes, taken.bytes);
  }
  const tried = await judgement(ms);
  if (tried.fault !== undefined) return tried;
  const fault = (kind: "slow" | "memory", much: string, allowed: string): Tried => ({
    ...tried,
    fault: { kind, detail: `${much} for ${input.length} bytes, allowed are ${allowed}` },
  });
  if (ms > limits.inputMs) return fault("slow", `${ms.toFixed(0)} ms`, `${limits.inputMs} ms`);
  if (bytes > limits.inputBytes) return fault("memory", megabytes(bytes), megabytes(limits.inputBytes));
  return tried;
}

/** Only what it costs counts here; what it gives or throws was there before. */
async function decodeAgain(decoder: FuzzedDecoder, input: Uint8Array): Promise<void> {
  try {
    await decoder.decode(input);
  } catch {
    // Judged by the first time.
  }
}
