import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { generatePassword, generateUserName, PolicyError, type RandomBelow } from "./credentials.ts";

/** Numbers from a seed, so that a failure can be repeated. */
function seeded(seed: number): RandomBelow {
  let drawn = 0;
  return (below) => {
    drawn += 1;
    return createHash("sha256").update(`${seed} ${drawn}`).digest().readUInt32LE() % below;
  };
}

describe("generatePassword", () => {
  test("follows the rules, whatever is drawn", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const password = generatePassword("rivet", seeded(seed)).toString("latin1");
        expect(password).toMatch(/^[A-Za-z][A-Za-z0-9!@%_-]{15}$/);
        expect(password).not.toMatch(/(.)\1/);
        expect(password.replace(/[^A-Z]/g, "").length).toBeGreaterThanOrEqual(2);
        expect(password.replace(/[^a-z]/g, "").length).toBeGreaterThanOrEqual(2);
        expect(password.replace(/[^0-9]/g, "").length).toBeGreaterThanOrEqual(2);
        const specials = password.replace(/[A-Za-z0-9]/g, "").length;
        expect([1, 2]).toContain(specials);
        expect(password.toLowerCase()).not.toContain("rivet");
      }),
    );
  });

  test("no two are the same, and every character is drawn", () => {
    const passwords = Array.from({ length: 2000 }, () => generatePassword().toString("latin1"));
    expect(new Set(passwords).size).toBe(2000);
    expect(new Set(passwords.join("")).size).toBe(26 + 26 + 10 + 5);
  });

  test("keeps the text to avoid out, in any case", () => {
    for (let seed = 0; seed < 200; seed += 1) {
      expect(generatePassword("a", seeded(seed)).toString("latin1")).not.toMatch(/a/i);
    }
  });
});

describe("generateUserName", () => {
  test("is the prefix and random lower-case letters and digits, 15 characters", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z][a-z0-9]{0,10}$/), fc.integer(), (prefix, seed) => {
        const name = generateUserName(prefix, seeded(seed));
        expect(name.startsWith(prefix)).toBe(true);
        expect(name).toMatch(/^[a-z][a-z0-9]{14}$/);
      }),
    );
    expect(new Set(Array.from({ length: 1000 }, () => generateUserName("rivet"))).size).toBe(1000);
  });

  test.each(["", "9lives", "Rivet", "rivet-", "root user", "rivetrivetri"])("refuses the prefix %j", (prefix) => {
    expect(() => generateUserName(prefix)).toThrow(PolicyError);
  });
});
