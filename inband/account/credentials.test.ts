import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RandomBelow } from "../../ipmi/password.ts";
import { passwordForms } from "../../ipmi/password-form.ts";
import { generatePassword, generateUserName, hasOurShape, PolicyError } from "./credentials.ts";

/** Numbers from a seed, so that a failure can be repeated. */
function seeded(seed: number): RandomBelow {
  let drawn = 0;
  return (below) => {
    drawn += 1;
    return createHash("sha256").update(`${seed} ${drawn}`).digest().readUInt32LE() % below;
  };
}

describe.each(passwordForms)("generatePassword: $name", (form) => {
  test("follows the rules, whatever is drawn", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const password = generatePassword("rivet", seeded(seed), form).toString("latin1");
        expect(password).toHaveLength(form.characters);
        expect(password).toMatch(/^[A-Za-z]/);
        expect(password).not.toMatch(/(.)\1/);
        expect(password.replace(/[^A-Z]/g, "").length).toBeGreaterThanOrEqual(2);
        expect(password.replace(/[^a-z]/g, "").length).toBeGreaterThanOrEqual(2);
        expect(password.replace(/[^0-9]/g, "").length).toBeGreaterThanOrEqual(2);
        const specials = password.replace(/[A-Za-z0-9]/g, "");
        expect(form.specials === "" ? [0] : [1, 2]).toContain(specials.length);
        for (const each of specials) expect(form.specials).toContain(each);
        expect(password.toLowerCase()).not.toContain("rivet");
      }),
      { numRuns: 50 },
    );
  });

  test("no two are the same, and every character is drawn", () => {
    const passwords = Array.from({ length: 500 }, () =>
      generatePassword(undefined, undefined, form).toString("latin1"),
    );
    expect(new Set(passwords).size).toBe(500);
    expect(new Set(passwords.join("")).size).toBe(26 + 26 + 10 + form.specials.length);
  });

  test("has a special character that DGX H200 takes, and no other", () => {
    for (const each of form.specials) expect("^%$@!~_").toContain(each);
  });
});

test("a password keeps the text to avoid out, in any case", () => {
  for (let seed = 0; seed < 200; seed += 1) {
    expect(generatePassword("a", seeded(seed)).toString("latin1")).not.toMatch(/a/i);
  }
});

describe("generateUserName", () => {
  test("is the prefix and lower-case letters and digits, 15 characters", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z][a-z0-9]{0,10}$/), fc.integer(), (prefix, seed) => {
        const name = generateUserName(prefix, seeded(seed));
        expect(name.startsWith(prefix)).toBe(true);
        expect(name).toMatch(/^[a-z][a-z0-9]{14}$/);
      }),
    );
    expect(new Set(Array.from({ length: 1000 }, () => generateUserName("rivet"))).size).toBe(1000);
  });

  test.each(["rivet", "m", "abc12"])(
    "has our shape, with the prefix %s: letters and digits, never a mere word",
    (prefix) => {
      for (let seed = 1; seed <= 300; seed += 1) {
        const name = generateUserName(prefix, seeded(seed));
        expect(name.slice(prefix.length)).toMatch(/(?=.*[0-9])(?=.*[a-z])/);
        expect(hasOurShape(prefix, name)).toBe(true);
      }
    },
  );

  test.each(["rivetoperator01", "rivetadmin12345", "rivetbackup2024", "rivetsupervisor", "rivet0a1b2c3d4e"])(
    "has our shape only with its checksum: %s is somebody else's",
    (name) => {
      expect(hasOurShape("rivet", name)).toBe(false);
    },
  );

  test("one other character, and it is not ours any more", () => {
    const name = generateUserName("rivet", seeded(1));
    for (let at = "rivet".length; at < name.length; at += 1) {
      const other = name[at] === "7" ? "8" : "7";
      expect(hasOurShape("rivet", name.slice(0, at) + other + name.slice(at + 1))).toBe(false);
    }
  });

  test("stays what it is: agents of later versions have to know it", () => {
    expect(generateUserName("rivet", seeded(1))).toBe("rivetc194ehnz6r");
  });

  test("with a prefix of more than 5 characters no name is told by its shape", () => {
    expect(hasOurShape("metalrivet", generateUserName("metalrivet"))).toBe(false);
  });

  test("is not one that is taken", () => {
    const first = generateUserName("rivet", seeded(1));
    expect(generateUserName("rivet", seeded(1), new Set([first]))).not.toBe(first);
  });

  test.each(["", "9lives", "Rivet", "rivet-", "root user", "rivetrivetri"])("refuses the prefix %j", (prefix) => {
    expect(() => generateUserName(prefix)).toThrow(PolicyError);
  });
});
