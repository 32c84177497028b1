import { format, inspect } from "node:util";
import { expect, test } from "vitest";
import { decode, encode } from "./codec.ts";
import { EncodeError } from "./errors.ts";
import { Secret, secret } from "./secret.ts";

const text = "Canary-7Q!x";

test("a secret prints nowhere", () => {
  const value = Secret.password(text, 16);
  const shown = [
    String(value),
    `${value}`,
    JSON.stringify({ value }),
    inspect(value, { showHidden: true, depth: null }),
    inspect({ nested: [value] }, { showHidden: true, depth: null, getters: true }),
    format("%s %j %o %O", value, value, value, value),
    JSON.stringify(Object.entries(value)),
    JSON.stringify(structuredClone({ ...value })),
  ].join("\n");
  expect(inspect(value)).toBe("[secret]");
  expect(JSON.stringify([value])).toBe('["[secret]"]');
  expect(String(value)).toBe("[secret]");
  expect(shown).not.toContain(text);
  // Nor as the numbers of its first bytes.
  expect(shown).not.toMatch(/67,\s*97|43 61 6e/);
});

test("its bytes are the ASCII text, filled with zeros", () => {
  const value = Secret.password("ab", 16);
  expect(value.reveal()).toEqual(Uint8Array.of(0x61, 0x62, ...new Uint8Array(14)));
  value.reveal().fill(0);
  expect(value.reveal()[0]).toBe(0x61);
});

test("wiped, nothing is left of it, and what was copied before stays", () => {
  const value = Secret.password("ab", 16);
  const copy = value.reveal();
  value.wipe();
  expect(value.reveal()).toEqual(new Uint8Array(16));
  expect(copy[0]).toBe(0x61);
});

test("a password that does not fit is refused without being quoted", () => {
  for (const [bad, size] of [
    ["x".repeat(17), 16],
    ["x".repeat(21), 20],
    ["pässword", 16],
    ["tab\tbed", 16],
  ] as const) {
    const act = () => Secret.password(bad, size);
    expect(act).toThrow(EncodeError);
    try {
      act();
    } catch (error) {
      expect(String(error)).not.toContain(bad);
    }
  }
  expect(Secret.password("x".repeat(16), 16).size).toBe(16);
});

test("secrets compare by their bytes", () => {
  expect(Secret.password("a", 16).equals(Secret.password("a", 16))).toBe(true);
  expect(Secret.password("a", 16).equals(Secret.password("b", 16))).toBe(false);
  expect(Secret.password("a", 16).equals(Secret.password("a", 20))).toBe(false);
  expect(Secret.password("a", 20).equals(Secret.password("a", 16))).toBe(false);
});

test("the field takes exactly the sizes it names", () => {
  const field = secret(16, 20);
  for (const size of [16, 20]) {
    const value = decode(field, new Uint8Array(size).fill(7), "test", "refused");
    expect(encode(field, value, "test")).toEqual(new Uint8Array(size).fill(7));
  }
  expect(() => decode(field, new Uint8Array(15), "test", "refused")).toThrow("16 bytes needed, 15 left");
  expect(() => decode(field, new Uint8Array(18), "test", "refused")).toThrow("2 bytes too many");
  expect(() => encode(field, Secret.fromBytes(new Uint8Array(18)), "test")).toThrow(EncodeError);
});

test("it keeps a copy, also of a Buffer, whose slice() would share the memory", () => {
  const owned = Buffer.from(text, "latin1");
  const value = Secret.fromBytes(owned);
  owned.fill(0);
  expect(Buffer.from(value.reveal()).toString("latin1")).toBe(text);
});
