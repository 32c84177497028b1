import type { Random } from "./random.ts";

/** One way to spoil an encoding; `corpus` are other valid ones to take pieces from. Never changes what it is given. */
type Mutation = (data: Uint8Array, random: Random, corpus: readonly Uint8Array[]) => Uint8Array;

/** Numbers at which lengths, offsets and counts go wrong. */
const edges = [0, 1, 2, 3, 7, 8, 0x0f, 0x10, 0x1f, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xc1, 0xfe, 0xff] as const;

/** A place from 0 to `size`, the end included. */
const place = (random: Random, size: number): number => random.below(size + 1);

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The bytes with one of them changed; bytes that are none stay so. */
function withByte(data: Uint8Array, random: Random, change: (old: number) => number): Uint8Array {
  const changed = data.slice();
  if (changed.length > 0) {
    const at = random.below(changed.length);
    changed[at] = change(changed[at] ?? 0);
  }
  return changed;
}

const flipBit: Mutation = (data, random) => withByte(data, random, (old) => old ^ (1 << random.below(8)));

const changeByte: Mutation = (data, random) => withByte(data, random, () => random.byte());

/** A length, count or offset that says too much or too little, in any byte. */
const changeLength: Mutation = (data, random) =>
  withByte(data, random, (old) => {
    switch (random.below(4)) {
      case 0:
        return old + 1;
      case 1:
        return old - 1;
      case 2:
        return old ^ random.pick(edges);
      default:
        return random.pick(edges);
    }
  });

/** The same for two bytes in a row, as 16-bit lengths have them. */
const changeWord: Mutation = (data, random) => {
  const changed = data.slice();
  if (changed.length < 2) return changed;
  const at = random.below(changed.length - 1);
  const word = random.pick([0, 1, 0x7fff, 0x8000, 0xffff, 0xff00, data.length, data.length + 1, random.uint32()]);
  changed[at] = word;
  changed[at + 1] = word >>> 8;
  return changed;
};

const cutEnd: Mutation = (data, random) => data.slice(0, place(random, data.length));

const cutFront: Mutation = (data, random) => data.slice(place(random, data.length));

/** Some bytes in the middle are missing. */
const cutOut: Mutation = (data, random) => {
  const from = place(random, data.length);
  return join(data.subarray(0, from), data.subarray(Math.min(data.length, from + 1 + random.below(8))));
};

const insert: Mutation = (data, random) => {
  const at = place(random, data.length);
  const size = 1 + random.below(8);
  const piece = random.below(2) === 0 ? random.bytes(size) : new Uint8Array(size).fill(random.pick(edges));
  return join(data.subarray(0, at), piece, data.subarray(at));
};

/** A piece several times: a record that comes again, a bracket that never closes. */
const repeat: Mutation = (data, random) => {
  const from = place(random, data.length);
  const to = Math.min(data.length, from + 1 + random.below(16));
  const piece = data.subarray(from, to);
  const times = random.below(16) === 0 ? 200 : 1 + random.below(6);
  return join(data.subarray(0, to), ...new Array<Uint8Array>(times).fill(piece), data.subarray(to));
};

/** The front of one valid encoding and the end of another. */
const splice: Mutation = (data, random, corpus) => {
  const other = random.pick(corpus);
  return join(data.subarray(0, place(random, data.length)), other.subarray(place(random, other.length)));
};

const overwrite: Mutation = (data, random, corpus) => {
  const other = random.pick(corpus);
  const changed = data.slice();
  const from = place(random, other.length);
  const piece = other.subarray(from, from + random.below(24));
  const at = place(random, changed.length);
  changed.set(piece.subarray(0, changed.length - at), at);
  return changed;
};

const mutations: readonly Mutation[] = [
  flipBit,
  changeByte,
  changeLength,
  changeLength,
  changeWord,
  cutEnd,
  cutFront,
  cutOut,
  insert,
  repeat,
  splice,
  overwrite,
];

/**
 * A valid encoding with one to four mistakes in it.
 * @param corpus valid encodings, at least one
 * @param maxBytes what is longer is cut
 */
export function mutate(corpus: readonly Uint8Array[], random: Random, maxBytes: number): Uint8Array {
  let data = random.pick(corpus);
  for (let rounds = 1 + (random.below(4) & random.below(4)); rounds > 0; rounds -= 1) {
    data = random.pick(mutations)(data, random, corpus);
  }
  return data.slice(0, maxBytes);
}

/** Bytes without any meaning: mostly short, sometimes one byte again and again. */
export function noise(random: Random, maxBytes: number): Uint8Array {
  const size = random.below(4) === 0 ? random.below(maxBytes + 1) : random.below(Math.min(maxBytes, 64) + 1);
  return random.below(16) === 0 ? new Uint8Array(size).fill(random.byte()) : random.bytes(size);
}
