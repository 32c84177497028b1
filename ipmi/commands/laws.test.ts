import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Command } from "../command.ts";
import { DecodeError } from "../errors.ts";
import { allCommands } from "./index.ts";

/** Both directions of every command as one list: the same laws hold for all of them. */
interface Direction {
  readonly name: string;
  readonly longerAllowed: boolean;
  encode(value: unknown): Uint8Array;
  decode(data: Uint8Array): unknown;
}

const directions: Direction[] = allCommands.flatMap((command: Command<unknown, unknown>) => [
  {
    name: `${command.name} request`,
    longerAllowed: false,
    encode: command.encodeRequest,
    decode: command.decodeRequest,
  },
  {
    name: `${command.name} response`,
    longerAllowed: true,
    encode: command.encodeResponse,
    decode: command.decodeResponse,
  },
]);

/** The value, or undefined for bytes that are refused as they should be. Anything but a DecodeError fails the test. */
function decoded(direction: Direction, data: Uint8Array): { value: unknown } | undefined {
  try {
    return { value: direction.decode(data) };
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError);
    return undefined;
  }
}

/** Lengths that are decoded for some simple fill, so that random bytes of these lengths often decode. */
function acceptedLengths(decode: (data: Uint8Array) => unknown): number[] {
  const fills = [0x00, 0x01, 0x81];
  return Array.from({ length: 41 }, (_, length) => length).filter((length) =>
    fills.some((fill) => {
      try {
        decode(new Uint8Array(length).fill(fill));
        return true;
      } catch (error) {
        expect(error).toBeInstanceOf(DecodeError);
        return false;
      }
    }),
  );
}

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

/** Half of any length, half of a length that fits. */
function someBytes(direction: Direction): fc.Arbitrary<Uint8Array> {
  const fitting = fc.constantFrom(...acceptedLengths(direction.decode)).chain(bytesOf);
  return fc.oneof(fc.uint8Array({ maxLength: 80 }), fitting);
}

describe.each(directions.map((direction) => [direction.name, direction] as const))("%s", (_name, direction) => {
  test("any bytes decode or are a DecodeError, and what decodes survives a round trip", () => {
    let accepted = 0;
    fc.assert(
      fc.property(someBytes(direction), (data) => {
        const first = decoded(direction, data);
        if (first === undefined) return;
        accepted += 1;
        const encoded = direction.encode(first.value);
        const again = direction.decode(encoded);
        expect(again).toEqual(first.value);
        // Secrets compare equal by design of `toEqual`; their bytes do not.
        expect(direction.encode(again)).toEqual(encoded);
        if (direction.longerAllowed) expect(encoded.length).toBeLessThanOrEqual(data.length);
        else expect(encoded.length).toBe(data.length);
      }),
      { numRuns: 300 },
    );
    // The law says nothing if no bytes were accepted.
    expect(accepted).toBeGreaterThan(0);
  });

  test("every truncation is a DecodeError or a valid shorter form", () => {
    let checked = 0;
    fc.assert(
      fc.property(someBytes(direction), (data) => {
        const whole = decoded(direction, data);
        if (whole === undefined) return;
        const encoded = direction.encode(whole.value);
        for (let length = 0; length < encoded.length; length += 1) {
          const part = encoded.subarray(0, length);
          const short = decoded(direction, part);
          checked += 1;
          if (short === undefined) continue;
          const shorter = direction.encode(short.value);
          expect(shorter).toEqual(part.subarray(0, shorter.length));
          expect(short.value).not.toEqual(whole.value);
        }
      }),
      { numRuns: 60 },
    );
    // A message without any byte has nothing to cut off.
    const lengths = acceptedLengths((data) => direction.encode(direction.decode(data)).length > 0 || refuse());
    if (lengths.length > 0) expect(checked).toBeGreaterThan(0);
  });
});

function refuse(): never {
  throw new DecodeError("no bytes", 0, "nothing to cut off");
}

test("no two commands share network function and command byte", () => {
  const keys = allCommands.map(({ netFn, cmd }) => `${netFn}/${cmd}`);
  expect(new Set(keys).size).toBe(keys.length);
});

test("a request never takes more than one fixed length unless its declaration says so", () => {
  const variable = new Set([
    "Chassis Identify",
    "Close Session",
    "Set LAN Configuration Parameters",
    "Set System Boot Options",
    "Set System Info Parameters",
    "Set User Access",
    "Set User Password",
  ]);
  for (const command of allCommands) {
    const lengths = acceptedLengths(command.decodeRequest);
    expect([command.name, lengths.length > 1]).toEqual([command.name, variable.has(command.name)]);
    expect([command.name, lengths.length]).not.toEqual([command.name, 0]);
  }
});
