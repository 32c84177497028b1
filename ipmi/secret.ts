import type { Field } from "./codec.ts";
import { EncodeError } from "./errors.ts";
import { unmoved, unmovedCopy } from "./unmoved.ts";

const shown = "[secret]";

/**
 * Bytes that never print: not in a template, in JSON, in console output or in an error.
 * `reveal` is the only way to them, `wipe` their end.
 */
export class Secret {
  readonly #bytes: Uint8Array;

  private constructor(data: Uint8Array) {
    this.#bytes = data;
  }

  /** Keeps a copy. */
  static fromBytes(data: Uint8Array): Secret {
    return new Secret(unmovedCopy(data));
  }

  /**
   * A password as IPMI stores it: ASCII, filled with 00h up to 16 or 20 bytes (IPMI 2.0 §22.30).
   * @throws EncodeError if it is longer or not printable ASCII; never cut, never quoted
   */
  static password(text: string, size: 16 | 20): Secret {
    if (text.length > size)
      throw new EncodeError("password", `${text.length} characters do not fit into ${size} bytes`);
    if (!/^[\x20-\x7e]*$/.test(text)) throw new EncodeError("password", "it is not printable ASCII");
    const data = unmoved(size);
    for (let i = 0; i < text.length; i += 1) data[i] = text.charCodeAt(i);
    return new Secret(data);
  }

  /** Bytes, the fill included. */
  get size(): number {
    return this.#bytes.length;
  }

  /** A copy of the bytes; who asks for it fills it with zeros. */
  reveal(): Uint8Array<ArrayBuffer> {
    return unmovedCopy(this.#bytes);
  }

  /** Fills it with zeros: nobody needs it any more. */
  wipe(): void {
    this.#bytes.fill(0);
  }

  /** Compares in time that depends on the sizes only. */
  equals(other: Secret): boolean {
    let difference = this.size ^ other.size;
    for (let i = 0; i < this.size; i += 1) difference |= (this.#bytes[i] ?? 0) ^ (other.#bytes[i] ?? 0);
    return difference === 0;
  }

  toString(): string {
    return shown;
  }

  toJSON(): string {
    return shown;
  }

  /** What util.inspect, and with it console.log and assertion messages, shows. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return shown;
  }
}

/** A secret that fills the rest of the message: one of `sizes` bytes. */
export function secret(...sizes: readonly number[]): Field<Secret> {
  const allowed = sizes.join(" or ");
  return {
    read(from) {
      const size = sizes.includes(from.remaining) ? from.remaining : Math.min(...sizes);
      return Secret.fromBytes(from.take(size));
    },
    write(value, to) {
      if (!(value instanceof Secret)) to.fail("it is no Secret");
      if (!sizes.includes(value.size)) to.fail(`${value.size} bytes are not ${allowed}`);
      const revealed = value.reveal();
      to.bytes(revealed);
      revealed.fill(0);
    },
  };
}
