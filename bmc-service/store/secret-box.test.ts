import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Secret } from "../../ipmi/secret.ts";
import { SealBrokenError, SecretBox, secretKeySize } from "./secret-box.ts";

const key = randomBytes(secretKeySize);
const secretOf = (bytes: Uint8Array) => Secret.fromBytes(bytes);

test("what was sealed opens for the same place and key", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.string(), (bytes, place) => {
      const box = new SecretBox(key);
      expect(box.open(box.seal(secretOf(bytes), place), place).reveal()).toEqual(bytes);
    }),
  );
});

test("nothing opens for another place, under another key, or after any change of a bit", () => {
  const box = new SecretBox(key);
  const sealed = box.seal(secretOf(Buffer.from("Secret-pass-1234")), "account:1");
  expect(() => box.open(sealed, "account:2")).toThrow(SealBrokenError);
  expect(() => new SecretBox(randomBytes(32)).open(sealed, "account:1")).toThrow(SealBrokenError);
  for (let bit = 0; bit < sealed.length * 8; bit += 1) {
    const changed = Uint8Array.from(sealed);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    expect(() => box.open(changed, "account:1")).toThrow(SealBrokenError);
  }
  for (let size = 0; size < sealed.length; size += 1) {
    expect(() => box.open(sealed.subarray(0, size), "account:1")).toThrow(SealBrokenError);
  }
});

test("the same secret never looks the same twice, and is nowhere in what is stored", () => {
  const box = new SecretBox(key);
  const plain = Buffer.from("Secret-pass-1234");
  const [one, two] = [box.seal(secretOf(plain), "a"), box.seal(secretOf(plain), "a")];
  expect(one).not.toEqual(two);
  expect(Buffer.from(one).includes(plain)).toBe(false);
  expect(inspect(box.open(one, "a"))).not.toContain("Secret-pass");
});

test("a key of another size is refused", () => {
  expect(() => new SecretBox(randomBytes(16))).toThrow(RangeError);
});
