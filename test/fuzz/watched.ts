/** Longer inputs are remembered by their front only; no decoder gets any. */
const maxInputBytes = 256 * 1024;

/** Which word of the shared memory holds what. */
const word = { beats: 0, index: 1, size: 2 } as const;
const headBytes = 12;

/**
 * What a worker is doing, in memory that another thread can read while the worker is stuck: a count that moves with every
 * input, the input's number and its bytes.
 */
export class Watched {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  /** @param shared from `Watched.memory()` */
  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared, 0, headBytes / 4);
    this.#bytes = new Uint8Array(shared, headBytes);
  }

  static memory(): SharedArrayBuffer {
    return new SharedArrayBuffer(headBytes + maxInputBytes);
  }

  /** The worker begins with an input. */
  begin(index: number, input: Uint8Array): void {
    const kept = input.subarray(0, maxInputBytes);
    this.#bytes.set(kept);
    this.#words[word.index] = index;
    this.#words[word.size] = kept.length;
    Atomics.add(this.#words, word.beats, 1);
  }

  /** The worker is done with a decoder. */
  rest(): void {
    this.#words[word.size] = 0;
    Atomics.add(this.#words, word.beats, 1);
  }

  /** Moves while the worker does. */
  get beats(): number {
    return Atomics.load(this.#words, word.beats);
  }

  /** The last input that was begun. */
  get input(): { readonly index: number; readonly input: Uint8Array } {
    const size = this.#words[word.size] ?? 0;
    return { index: this.#words[word.index] ?? 0, input: this.#bytes.slice(0, size) };
  }
}
