import type { Random } from "./random.ts";

/** One decoder as the fuzzer sees it: bytes in, a value or its own kind of refusal out. */
export interface FuzzedDecoder {
  /** "Get Device ID response". What --decoder looks for. */
  readonly name: string;
  /** Undefined is a refusal too: some decoders say so that the bytes are none of theirs. May give a promise. */
  readonly decode: (input: Uint8Array) => unknown;
  /** The classes of errors with which it refuses; anything else that is thrown is a fault. */
  readonly refusals: readonly (abstract new (
    ...args: never[]
  ) => Error)[];
  /** A value would be a fault: nobody can make these bytes. */
  readonly refusesAll?: true;
  /** Valid encodings, at least one: what mutations begin with. Called once. */
  readonly corpus: (random: Random) => readonly Uint8Array[];
  /** Inputs without meaning, where plain random bytes would all be refused at once. */
  readonly noise?: (random: Random, maxBytes: number) => Uint8Array;
  /** How long inputs become, in bytes; 96 if not given. */
  readonly maxBytes?: number;
  /** Its part of all inputs, in relation to the others; 1 if not given. */
  readonly share?: number;
  /** How many bytes of value one byte of input may become; 64 if not given. */
  readonly growth?: number;
}

export const defaults = { maxBytes: 96, share: 1, growth: 64 } as const;

/** What a value may hold whatever the input is: the names of fields and values that stand for nothing. */
export const baseValueBytes = 4096;
