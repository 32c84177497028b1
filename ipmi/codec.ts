import { DecodeError, EncodeError } from "./errors.ts";
import { unmoved, unmovedCopy } from "./unmoved.ts";

/**
 * The field primitives from which every message is declared, one line per field.
 * A field reads and writes itself; the value's type follows from it. Multi-byte numbers are
 * least significant byte first (IPMI 2.0 §5.1, "Message Interface Description").
 */
export interface Field<T> {
  read(from: Reader): T;
  write(value: T, to: Writer): void;
}

/** A field that may be missing at the end of a message. */
export interface OptionalField<T> extends Field<T | undefined> {
  readonly optional: true;
}

/** Bytes without a value: written as 00h, ignored when read. */
export interface ReservedField extends Field<void> {
  readonly reserved: true;
}

/** A message or a part of one: fields in the order of their bytes. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

type Flatten<T> = { [K in keyof T]: T[K] };
type TypeOf<F> = F extends Field<infer T> ? T : never;
type Kind<F> = F extends ReservedField ? "reserved" : F extends OptionalField<unknown> ? "optional" : "required";

/** The value that a set of fields encodes and decodes. */
export type ValueOf<F extends Fields> = [keyof F] extends [never]
  ? Record<string, never>
  : Flatten<
      { [K in keyof F as Kind<F[K]> extends "required" ? K : never]: TypeOf<F[K]> } & {
        [K in keyof F as Kind<F[K]> extends "optional" ? K : never]?: TypeOf<F[K]> | undefined;
      }
    >;

/** The bytes ended inside a field; `optional` takes that for "not there". */
class TooShort extends DecodeError {}

/** Walks over received bytes. Whatever they are, it fails only with DecodeError. */
export class Reader {
  readonly what: string;
  readonly #bytes: Uint8Array;
  #offset = 0;
  #ended = false;

  /** @param what what is being decoded, for the error: "Get Device ID response". */
  constructor(what: string, bytes: Uint8Array) {
    this.what = what;
    this.#bytes = bytes;
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  /** The next `size` bytes, copied. */
  take(size: number): Uint8Array {
    if (size > this.remaining) {
      throw new TooShort(this.what, this.#offset, `${size} bytes needed, ${this.remaining} left`);
    }
    const taken = this.#bytes.slice(this.#offset, this.#offset + size);
    this.#offset += size;
    return taken;
  }

  /** The next byte. */
  byte(): number {
    const value = this.#bytes[this.#offset];
    if (value === undefined) throw new TooShort(this.what, this.#offset, "1 byte needed, 0 left");
    this.#offset += 1;
    return value;
  }

  /** Whether no further field begins here. */
  get ended(): boolean {
    return this.#ended || this.remaining === 0;
  }

  /** Goes back to `offset`: what stands there is no field. */
  endAt(offset: number): void {
    this.#offset = Math.min(offset, this.#offset);
    this.#ended = true;
  }

  fail(problem: string): never {
    throw new DecodeError(this.what, this.#offset, problem);
  }
}

/**
 * Collects the bytes to send. Fails only with EncodeError, whose text never holds the value of a secret, and leaves no copy
 * of the bytes behind.
 */
export class Writer {
  readonly #what: string;
  #bytes = unmoved(64);
  #length = 0;
  readonly #path: string[] = [];

  constructor(what: string) {
    this.#what = what;
  }

  byte(value: number): void {
    this.#makeRoom(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  bytes(value: Uint8Array): void {
    this.#makeRoom(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Runs `work` with `name` added to what an error says. */
  inside(name: string, work: () => void): void {
    this.#path.push(name);
    work();
    this.#path.pop();
  }

  fail(problem: string): never {
    const path = this.#path.join(".");
    throw new EncodeError(path === "" ? this.#what : `${this.#what}: ${path}`, problem);
  }

  /** All of them. The writer is empty then. */
  done(): Uint8Array<ArrayBuffer> {
    const written = unmovedCopy(this.#bytes.subarray(0, this.#length));
    this.#bytes.fill(0, 0, this.#length);
    this.#length = 0;
    return written;
  }

  #makeRoom(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const larger = unmoved(Math.max(2 * this.#bytes.length, this.#length + more));
    larger.set(this.#bytes);
    this.#bytes.fill(0);
    this.#bytes = larger;
  }
}

function hex(value: number): string {
  return `${value.toString(16).toUpperCase().padStart(2, "0")}h`;
}

function unsignedInteger(bytes: 1 | 2 | 4): Field<number> {
  const limit = 2 ** (8 * bytes);
  return {
    read(from) {
      let value = 0;
      for (let i = 0; i < bytes; i += 1) value += from.byte() * 2 ** (8 * i);
      return value;
    },
    write(value, to) {
      if (!Number.isInteger(value) || value < 0 || value >= limit) {
        to.fail(`${String(value)} is not an integer from 0 to ${limit - 1}`);
      }
      for (let i = 0; i < bytes; i += 1) to.byte(Math.floor(value / 2 ** (8 * i)) % 256);
    },
  };
}

/** One byte, 0-255. */
export const uint8 = unsignedInteger(1);
/** Two bytes, least significant first. */
export const uint16LE = unsignedInteger(2);
/** Four bytes, least significant first. */
export const uint32LE = unsignedInteger(4);

/** Three bytes, least significant first: an IANA enterprise number (20 bits). */
export const uint24LE: Field<number> = {
  read(from) {
    return from.byte() + from.byte() * 0x100 + from.byte() * 0x10000;
  },
  write(value, to) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffff) {
      to.fail(`${String(value)} is not an integer from 0 to 16777215`);
    }
    for (const shift of [0, 8, 16]) to.byte((value >> shift) & 0xff);
  },
};

/** Some bits of a byte, `[high:low]` as in the specification's tables. */
export interface Bits<T> {
  readonly high: number;
  readonly low: number;
  fromBits(bits: number, from: Reader): T;
  toBits(value: T, to: Writer): number;
}

/** One bit: 1b is true. */
export function flag(bit: number): Bits<boolean> {
  return {
    high: bit,
    low: bit,
    fromBits: (bits) => bits === 1,
    toBits(value, to) {
      if (typeof value !== "boolean") to.fail(`${String(value)} is neither true nor false`);
      return value ? 1 : 0;
    },
  };
}

/** One bit whose sense the specification turns round: 0b is true ("0b = enabled"). */
export function flagInverted(bit: number): Bits<boolean> {
  const plain = flag(bit);
  return { ...plain, fromBits: (bits) => bits === 0, toBits: (value, to) => 1 - plain.toBits(value, to) };
}

/** A number in `[high:low]`. */
export function uint(high: number, low: number): Bits<number> {
  const limit = 2 ** (high - low + 1);
  return {
    high,
    low,
    fromBits: (bits) => bits,
    toBits(value, to) {
      if (!Number.isInteger(value) || value < 0 || value >= limit) {
        to.fail(`${String(value)} is not an integer from 0 to ${limit - 1}`);
      }
      return value;
    },
  };
}

/** One of a closed set of values in `[high:low]`; any other value is a DecodeError. */
export function oneOf<const M extends Readonly<Record<string, number>>>(
  names: M,
  high: number,
  low: number,
): Bits<keyof M & string> {
  const byNumber = new Map(Object.entries(names).map(([name, number]) => [number, name]));
  return {
    high,
    low,
    fromBits: (bits, from) =>
      byNumber.get(bits) ?? from.fail(`${hex(bits)} is none of ${Object.keys(names).join(", ")}`),
    toBits: (value, to) =>
      (Object.hasOwn(names, value) ? names[value] : undefined) ??
      to.fail(`"${String(value)}" is none of ${Object.keys(names).join(", ")}`),
  };
}

/**
 * A named value in `[high:low]`, where a BMC may answer with reserved or OEM values: those are read as numbers.
 * Both the name and the number can be written.
 */
export function nameOrNumber<const M extends Readonly<Record<string, number>>>(
  names: M,
  high: number,
  low: number,
): Bits<(keyof M & string) | number> {
  const byNumber = new Map(Object.entries(names).map(([name, number]) => [number, name]));
  const closed = oneOf(names, high, low);
  const open = uint(high, low);
  return {
    high,
    low,
    fromBits: (bits) => byNumber.get(bits) ?? bits,
    toBits: (value, to) => (typeof value === "number" ? open.toBits(value, to) : closed.toBits(value, to)),
  };
}

type BitFields = Readonly<Record<string, Bits<unknown>>>;
type BitValues<B extends BitFields> = { [K in keyof B]: B[K] extends Bits<infer T> ? T : never };

function extract<T>(bits: Bits<T>, byteValue: number, from: Reader): T {
  return bits.fromBits((byteValue >> bits.low) & (2 ** (bits.high - bits.low + 1) - 1), from);
}

/** One byte made of bit fields. Bits that none of them names are reserved: written as 0, ignored when read. */
export function byte<const B extends BitFields>(layout: B): Field<BitValues<B>> {
  const entries = Object.entries(layout);
  return {
    read(from) {
      const value = from.byte();
      return Object.fromEntries(entries.map(([name, bits]) => [name, extract(bits, value, from)])) as BitValues<B>;
    },
    write(value, to) {
      const values = objectToWrite(value, to);
      let sum = 0;
      for (const [name, bits] of entries) {
        to.inside(name, () => {
          sum |= bits.toBits(values[name], to) << bits.low;
        });
      }
      to.byte(sum);
    },
  };
}

/** One byte that holds one bit field; the value stands alone. */
export function inByte<T>(bits: Bits<T>): Field<T> {
  return {
    read: (from) => extract(bits, from.byte(), from),
    write: (value, to) => to.byte(bits.toBits(value, to) << bits.low),
  };
}

/** Exactly `size` bytes. */
export function bytes(size: number): Field<Uint8Array> {
  return {
    read: (from) => from.take(size),
    write(value, to) {
      const given = bytesToWrite(value, to);
      if (given.length !== size) to.fail(`${given.length} bytes do not fill ${size}`);
      to.bytes(given);
    },
  };
}

/** All bytes to the end of the message, from `atLeast` to `atMost` of them (what follows is left alone). */
export function rest(atLeast = 0, atMost = Number.POSITIVE_INFINITY): Field<Uint8Array> {
  return {
    read: (from) => from.take(Math.max(atLeast, Math.min(atMost, from.remaining))),
    write(value, to) {
      const given = bytesToWrite(value, to);
      if (given.length < atLeast || given.length > atMost) {
        to.fail(`${given.length} bytes are not ${atLeast} to ${atMost}`);
      }
      to.bytes(given);
    },
  };
}

/**
 * Text of at most `size` characters, filled with 00h up to `size` bytes. One byte a character (ISO 8859-1, of which
 * ASCII is a part), so that whatever a BMC has stored can be read and written back. Reading ends at the first 00h.
 */
export function fixedText(size: number): Field<string> {
  return {
    read(from) {
      const stored = from.take(size);
      const end = stored.indexOf(0);
      return latin1(end === -1 ? stored : stored.subarray(0, end));
    },
    write(value, to) {
      if (typeof value !== "string") to.fail("it is not a text");
      if (value.length > size) to.fail(`${value.length} characters do not fit into ${size} bytes`);
      for (let i = 0; i < size; i += 1) {
        const code = i < value.length ? value.charCodeAt(i) : 0;
        if (code > 0xff || (code === 0 && i < value.length)) to.fail(`character ${i + 1} does not fit into one byte`);
        to.byte(code);
      }
    },
  };
}

/** Every byte as the character of the same number (ISO 8859-1). */
export function latin1(data: Uint8Array): string {
  return Array.from(data, (each) => String.fromCharCode(each)).join("");
}

/** Bytes that take no part in the value: written as 00h, ignored when read. */
export function reserved(size: number): ReservedField {
  return {
    reserved: true,
    read(from) {
      from.take(size);
    },
    write(_value, to) {
      to.bytes(new Uint8Array(size));
    },
  };
}

/** Fields in a row as one field, to nest them or to make them optional together. */
export function struct<const F extends Fields>(fields: F): Field<ValueOf<F>> {
  const entries = Object.entries(fields);
  return {
    read(from) {
      const value: Record<string, unknown> = {};
      for (const [name, field] of entries) {
        const each = field.read(from);
        if (each !== undefined) value[name] = each;
      }
      return value as ValueOf<F>;
    },
    write(value, to) {
      const values = objectToWrite(value, to);
      let missing: string | undefined;
      for (const [name, field] of entries) {
        if ("optional" in field && values[name] === undefined) {
          missing ??= name;
          continue;
        }
        to.inside(name, () => {
          if (missing !== undefined) to.fail(`it cannot follow "${missing}", which is left out`);
          field.write(values[name], to);
        });
      }
    },
  };
}

/**
 * A field that may be missing at the end of a message; left out of the value then. When bytes are left but too few for
 * it, they are no part of it: a response may carry garbage after its data, a request may not (see `decode`).
 */
export function optional<T>(field: Field<T>): OptionalField<T> {
  return {
    optional: true,
    read(from) {
      if (from.ended) return undefined;
      const start = from.offset;
      try {
        return field.read(from);
      } catch (error) {
        if (!(error instanceof TooShort)) throw error;
        from.endAt(start);
        return undefined;
      }
    },
    write(value, to) {
      if (value !== undefined) field.write(value, to);
    },
  };
}

/**
 * Decodes a whole message.
 * @param what what it is, for the error: "Get Device ID response"
 * @param after what to do with bytes after the last field: a response may have them (newer specifications append, some
 *   BMCs send garbage), in a request they are an error
 * @throws DecodeError
 */
export function decode<T>(field: Field<T>, data: Uint8Array, what: string, after: "ignored" | "refused"): T {
  const from = new Reader(what, data);
  const value = field.read(from);
  if (after === "refused" && from.remaining > 0) from.fail(`${from.remaining} bytes too many`);
  return value;
}

/** @throws EncodeError naming the field that does not fit; nothing is ever trimmed */
export function encode<T>(field: Field<T>, value: T, what: string): Uint8Array {
  const to = new Writer(what);
  field.write(value, to);
  return to.done();
}

function objectToWrite(value: unknown, to: Writer): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null) return to.fail("it is missing");
  return value as Readonly<Record<string, unknown>>;
}

function bytesToWrite(value: unknown, to: Writer): Uint8Array {
  return value instanceof Uint8Array ? value : to.fail("it is no Uint8Array");
}
