import { describe, expect, test } from "vitest";
import { passwordForms } from "./password-form.ts";
import { mostPasswords, PasswordLadder } from "./password-ladder.ts";

/** The names of the forms that are tried while the BMC answers with `code`. */
function climb(ladder: PasswordLadder, code: (form: PasswordLadder["form"]) => number): string[] {
  const names = [ladder.form.name];
  while (ladder.next(code(ladder.form))) names.push(ladder.form.name);
  return names;
}

describe("PasswordLadder", () => {
  test("every form, then from the start again: 8 passwords in all", () => {
    const forms = passwordForms.map(({ name }) => name);
    expect(climb(new PasswordLadder(), () => 0xcc)).toEqual([...forms, ...forms].slice(0, 8));
    expect(mostPasswords).toBe(8);
  });

  test("begins with the form that is hinted", () => {
    const names = climb(new PasswordLadder(passwordForms[2]), () => 0xcc);
    expect(names.slice(0, 4)).toEqual(["twenty", "other specials", "letters and digits", "sixteen"]);
  });

  test.each([0xc7, 0xc8])("a size that is refused (%d) is not tried again", (code) => {
    const wantsTwenty = climb(new PasswordLadder(), ({ bytes }) => (bytes === 16 ? code : 0xcc));
    const inTwenty = ["sixteen in twenty", "twenty", "other specials", "letters and digits"];
    expect(new Set(wantsTwenty.slice(1))).toEqual(new Set(inTwenty));
    expect(wantsTwenty).toHaveLength(8);
    const wantsSixteen = climb(new PasswordLadder(passwordForms[1]), ({ bytes }) => (bytes === 20 ? code : 0xcc));
    expect(new Set(wantsSixteen.slice(1))).toEqual(new Set(["sixteen", "other specials", "letters and digits"]));
    expect(climb(new PasswordLadder(), () => code)).toEqual(["sixteen", "sixteen in twenty"]);
  });

  test("says what was tried", () => {
    const ladder = new PasswordLadder();
    for (const code of [0xcc, 0xc7, 0x8f, 0xd5, 0xcc, 0xff]) ladder.next(code);
    expect(ladder.triedText).toBe(
      "16 characters in 16 bytes (CCh, CCh), 16 characters in 20 bytes (C7h), " +
        "16 characters in 16 bytes with other special characters (8Fh, FFh), " +
        "16 characters in 16 bytes without special characters (D5h)",
    );
  });
});
