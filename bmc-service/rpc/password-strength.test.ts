import { randomInt } from "node:crypto";
import { expect, test } from "vitest";
import { randomPassword } from "../../ipmi/password.ts";
import { passwordForms } from "../../ipmi/password-form.ts";
import { requireStrong } from "./password-strength.ts";

const judge = (text: string) => () => requireStrong("password", Buffer.from(text));

test.each(passwordForms)("a password of the form $name is strong enough", (form) => {
  for (let i = 0; i < 1_000; i += 1) requireStrong("password", randomPassword("rivet", randomInt, form));
});

test.each(["Ab3dEf6hIj9lMn2p", "Ab3-Ef6_Ij9lMn", "abcdefghijklmnopqrst"])("%s could be random enough", (text) => {
  expect(judge(text)).not.toThrow();
});

test.each([
  ["pass", "4 characters of 26 have 18 bits at most"],
  ["Ab3-Ef6_Ij9lM", "13 characters of 95 have 85 bits at most"],
  ["Ab3dEf6hIj9lMn2", "15 characters of 62 have 89 bits at most"],
  ["0123456789012345678", "19 characters of 10 have 63 bits at most"],
  ["Ab1!Ab1!Ab1!Ab1!Ab1!", "fewer than 6 different characters"],
])("a password that cannot be random enough is refused (%s: %s)", (text, problem) => {
  expect(judge(text)).toThrow(problem);
});

test("what is refused is not in the refusal", () => {
  for (const text of ["Weak-Secret", "Sec!Sec!Sec!Sec!Sec!"]) expect(judge(text)).toThrow(/^(?!.*Sec).*too weak/);
});
