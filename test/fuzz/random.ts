/**
 * Random numbers that come again with their seed (sfc32 of the PractRand suite): the same words give the same inputs on every
 * machine. Not for secrets.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param words whatever shall make the sequence another one: seed, name of the decoder, number of the input */
  constructor(...words: readonly (number | string)[]) {
    let [a, b, c] = [0x9e3779b9, 0x243f6a88, 0xb7e15162];
    const mix = (word: number) => {
      a = Math.imul(a ^ word, 0x85ebca6b);
      b = Math.imul(b ^ (a >>> 13), 0xc2b2ae35);
      c = Math.imul(c ^ (b >>> 16) ^ word, 0x27d4eb2f);
    };
    for (const word of words) {
      if (typeof word === "number") mix(word | 0);
      else for (let i = 0; i < word.length; i += 1) mix(word.charCodeAt(i));
    }
    [this.#a, this.#b, this.#c] = [a, b, c];
    for (let i = 0; i < 12; i += 1) this.uint32();
  }

  /** 0 to 2^32 - 1. */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return sum >>> 0;
  }

  /** 0 to `limit` - 1, for limits far below 2^32. */
  below(limit: number): number {
    return this.uint32() % limit;
  }

  /** 0-255. */
  byte(): number {
    return this.uint32() & 0xff;
  }

  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T {
    const picked = list[this.below(list.length)];
    if (picked === undefined && list.length === 0) throw new RangeError("nothing to pick from");
    return picked as T;
  }

  bytes(size: number): Uint8Array {
    const data = new Uint8Array(size);
    for (let i = 0; i < size; i += 4) {
      const word = this.uint32();
      data[i] = word;
      data[i + 1] = word >>> 8;
      data[i + 2] = word >>> 16;
      data[i + 3] = word >>> 24;
    }
    return data;
  }
}
