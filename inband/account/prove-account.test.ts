import { describe, expect, test } from "vitest";
import { passwordForms } from "../../ipmi/password-form.ts";
import { nameBytes } from "../scripted-bmc.fixture.ts";
import {
  disabled,
  nameHex,
  obedient,
  passwordHex,
  ScriptedPasswords,
  wanted,
  withoutRights,
} from "./account.fixture.ts";
import { AccountRefusedError, SlotTakenError } from "./account-error.ts";
import { proveAccount } from "./prove-account.ts";

type Bmc = ReturnType<typeof obedient>;

const prove = ({ conversation }: Bmc, passwords = new ScriptedPasswords()) =>
  proveAccount(conversation, wanted, passwords);
const tests = (line: string) => line.startsWith("Set User Password 0303");
const writesOf = ({ log }: Bmc) => log.filter((line) => line.startsWith("Set ") && !/ Password .303/.test(line));

describe("proveAccount", () => {
  test("reads the name, tests the password, reads the rights: three commands", async () => {
    const bmc = obedient();
    expect(await prove(bmc)).toEqual({ proof: "password tested", findings: [] });
    expect(bmc.log).toEqual(["Get User Name 03", `Set User Password 0303${passwordHex}`, "Get User Access 0203"]);
  });

  test.each([0xc1, 0xc7, 0xcc, 0xd4, 0xff])(
    "%d to the test: the BMC cannot, and gets the password again",
    async (code) => {
      const bmc = obedient((line) => (tests(line) ? code : undefined));
      expect(await prove(bmc)).toEqual({ proof: "read back only", findings: [] });
      expect(writesOf(bmc)).toEqual([`Set User Password 0302${passwordHex}`]);
      const refuses = obedient((line) => (tests(line) ? code : line.includes("Password 0302") ? 0xcc : undefined));
      expect((await prove(refuses)).proof).toBe("read back only");
    },
  );

  test.each([0xc3, "no answer"] as const)("a test that is never answered (%s) tells nothing", async (answer) => {
    const { proof } = await prove(obedient((line) => (tests(line) ? answer : undefined)));
    expect(proof).toBe("read back only");
  });

  test("a busy BMC is not one that cannot test", async () => {
    await expect(prove(obedient((line) => (tests(line) ? 0xc0 : undefined)))).rejects.toThrow("C0h");
  });

  test("81h to the test: stored in the other size, and tested with that", async () => {
    const bmc = obedient((line) => (tests(line) ? 0x81 : undefined));
    expect((await prove(bmc)).proof).toBe("password tested");
    expect(bmc.log.at(-2)).toBe(`Set User Password 8303${passwordHex}00000000`);
    expect(writesOf(bmc)).toEqual([]);
  });

  test("80h to the test: the password is set again, and is the same one if the BMC had lost it", async () => {
    const once = obedient((line, nth) => (tests(line) && nth === 1 ? 0x80 : undefined));
    const passwords = new ScriptedPasswords();
    expect(await prove(once, passwords)).toEqual({
      proof: "password tested",
      findings: [expect.stringMatching(/written again: the BMC took the password but does not know it any more$/)],
    });
    expect(writesOf(once)).toEqual([`Set User Password 0302${passwordHex}`]);
    const twice = obedient((line, nth) => (tests(line) && nth < 3 ? 0x80 : undefined));
    await prove(twice, passwords);
    expect(writesOf(twice)).toHaveLength(2);
    expect(passwords.stored).toHaveLength(1);
  });

  test.each([
    ["keeps passwords of 20 bytes only, and says 00h to 16", /Password 03/, 0x80, ["sixteen", "sixteen in twenty"]],
    [
      "keeps none of 16 bytes in any size",
      /Password (03|83.{34}0{8}$)/,
      0x81,
      ["sixteen", "sixteen in twenty", "twenty"],
    ],
  ] as const)("a BMC that %s gets another password in the next form", async (_what, lost, code, forms) => {
    const bmc = obedient((line) => (/Password .303/.test(line) && lost.test(line) ? code : undefined));
    const passwords = new ScriptedPasswords();
    expect((await prove(bmc, passwords)).proof).toBe("password tested");
    expect(passwords.stored.map(({ form }) => form.name)).toEqual(forms);
    const last = Buffer.from(passwords.current.characters).toString("hex");
    expect(writesOf(bmc).at(-1)).toContain(last);
  });

  test("a BMC that cuts 20 characters to 16 gets one of 16", async () => {
    const bmc = obedient((line) =>
      /^Set User Password 8303/.test(line) && !line.endsWith("00000000") ? 0x81 : undefined,
    );
    const passwords = new ScriptedPasswords(passwordForms[2]);
    await prove(bmc, passwords);
    expect(passwords.stored.map(({ form }) => form.name)).toEqual(["twenty", "other specials"]);
  });

  test("a BMC that knows none of 8 afterwards: an error that says so and shows none", async () => {
    const never = obedient((line) => (/Password .303/.test(line) ? 0x80 : undefined));
    const passwords = new ScriptedPasswords();
    const error = (await prove(never, passwords).catch((each: unknown) => each)) as Error;
    expect(error).toBeInstanceOf(AccountRefusedError);
    expect(error.message).toMatch(/does not keep it as it was.*16 characters in 16 bytes \(80h, 80h\)/);
    expect(String(error.stack)).not.toContain("Ab1!");
    expect(passwords.stored).toHaveLength(8);
    expect(never.log.length).toBeLessThan(60);
  });

  test("a BMC that cannot test, but is seen to lose writes, gets the password twice more", async () => {
    const bmc = obedient((line, nth) => {
      if (tests(line)) return 0xc1;
      return line === "Get User Access 0203" && nth === 1 ? disabled : undefined;
    });
    expect((await prove(bmc)).proof).toBe("read back only");
    expect(writesOf(bmc).filter((line) => line.includes("Password 0302"))).toHaveLength(3);
  });

  test("rights that the BMC refuses to tell are a finding; told once more they are none", async () => {
    const never = obedient((line) => (line === "Get User Access 0203" ? 0x93 : undefined));
    expect(await prove(never)).toEqual({
      proof: "password tested",
      findings: [expect.stringMatching(/does not tell the rights of user ID 3 on channel 2 .*93h.*only the login/)],
    });
    expect(writesOf(never)).toEqual([]);
    const once = obedient((line, nth) => (line === "Get User Access 0203" && nth === 1 ? 0x93 : undefined));
    expect((await prove(once)).findings).toEqual([]);
    await expect(prove(obedient((line) => (line === "Get User Access 0203" ? 0xc0 : undefined)))).rejects.toThrow(
      "C0h",
    );
  });

  test("a BMC that resets over the repair is looked at again", async () => {
    const bmc = obedient((line, nth) => {
      if (tests(line)) return nth < 3 ? 0x80 : undefined;
      return line.includes("Password 0302") && nth === 1 ? "no answer" : undefined;
    });
    expect((await prove(bmc)).proof).toBe("password tested");
    expect(writesOf(bmc)).toHaveLength(2);
  });

  test("a BMC that cannot test, and resets over the password that is sent again, gets it once more", async () => {
    const bmc = obedient((line, nth) => {
      if (tests(line)) return 0xc1;
      return line.includes("Password 0302") && nth === 1 ? "no answer" : undefined;
    });
    expect((await prove(bmc)).proof).toBe("read back only");
    expect(writesOf(bmc)).toHaveLength(2);
  });

  test("rights that did not stick are written again, and the BMC gets more time after writes", async () => {
    const late = obedient((line, nth) => (line === "Get User Access 0203" && nth === 1 ? withoutRights : undefined));
    await prove(late);
    expect(writesOf(late)).toEqual(["Set User Access 92030400"]);
    expect(late.conversation.pace.pauseMs).toBeGreaterThan(0);
    const never = obedient((line) => (line === "Get User Access 0203" ? withoutRights : undefined));
    await expect(prove(never)).rejects.toThrow(
      "user 3: the rights on channel 2 do not stick: privilege noAccess, IPMI messaging off",
    );
  });

  test("disabled: enabled again, then it is an error", async () => {
    const late = obedient((line, nth) => (line === "Get User Access 0203" && nth === 1 ? disabled : undefined));
    await prove(late);
    expect(writesOf(late)).toEqual([`Set User Password 0301${"00".repeat(16)}`]);
    const never = obedient((line) => (line === "Get User Access 0203" ? disabled : undefined));
    await expect(prove(never)).rejects.toThrow("it was enabled, but the BMC says that it is disabled");
  });

  test.each([
    ["and the password", 0x80, 1],
    ["but not the password, which is not sent again", [], 0],
  ])("the name is gone (Supermicro H8QME), %s: what is missing is written again", async (_what, told, sets) => {
    const bmc = obedient((line, nth) => {
      if (line === "Get User Name 03" && nth === 1) return nameBytes("");
      if (tests(line) && nth === 1) return told;
      return line === "Get User Access 0203" && nth === 1 ? disabled.with(3, 0x0f) : undefined;
    });
    expect((await prove(bmc)).findings).toEqual([expect.stringContaining('its name "rivet0123456789" is gone')]);
    expect(writesOf(bmc)).toEqual([
      `Set User Name 03${nameHex}`,
      ...new Array<string>(sets).fill(`Set User Password 0302${passwordHex}`),
      "Set User Access 92030400",
      `Set User Password 0301${"00".repeat(16)}`,
    ]);
  });

  test("somebody else's name: nothing is written", async () => {
    const bmc = obedient((line) => (line.startsWith("Get User Name") ? nameBytes("ADMIN") : undefined));
    await expect(prove(bmc)).rejects.toThrow(SlotTakenError);
    expect(writesOf(bmc)).toEqual([]);
  });
});
