import { describe, expect, test } from "vitest";
import { nameBytes } from "../scripted-bmc.fixture.ts";
import { disabled, nameHex, obedient, password, passwordHex, wanted, withoutRights } from "./account.fixture.ts";
import { AccountError, SlotTakenError } from "./account-error.ts";
import { passwordForms } from "./password-form.ts";
import { proveAccount } from "./prove-account.ts";

type Bmc = ReturnType<typeof obedient>;

const prove = ({ conversation }: Bmc, which = password) => proveAccount(conversation, wanted, which);
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

  test("a busy BMC is not one that cannot test", async () => {
    await expect(prove(obedient((line) => (tests(line) ? 0xc0 : undefined)))).rejects.toThrow("C0h");
  });

  test("81h to the test: stored in the other size, and tested with that", async () => {
    const bmc = obedient((line) => (tests(line) ? 0x81 : undefined));
    expect((await prove(bmc)).proof).toBe("password tested");
    expect(bmc.log.at(-2)).toBe(`Set User Password 8303${passwordHex}00000000`);
    expect(writesOf(bmc)).toEqual([]);
  });

  test("81h for a password of 20 characters, which fits into no other size: it is lost", async () => {
    const bmc = obedient((line) => (line.startsWith("Set User Password 8303") ? 0x81 : undefined));
    const twenty = { characters: Buffer.from("Ab1!".repeat(5), "latin1"), form: passwordForms[2] };
    await expect(prove(bmc, twenty)).rejects.toThrow(AccountError);
  });

  test("80h to the test: the password is set again, at most three times; then an error that does not show it", async () => {
    const once = obedient((line, nth) => (tests(line) && nth === 1 ? 0x80 : undefined));
    expect(await prove(once)).toEqual({
      proof: "password tested",
      findings: [expect.stringMatching(/written again: the BMC took the password but does not know it any more$/)],
    });
    expect(writesOf(once)).toEqual([`Set User Password 0302${passwordHex}`]);
    const never = obedient((line) => (tests(line) ? 0x80 : undefined));
    const error = (await prove(never).catch((each: unknown) => each)) as Error;
    expect(error).toBeInstanceOf(AccountError);
    expect(error.message).toBe("user 3: the BMC took the password but does not know it any more");
    expect(String(error.stack)).not.toContain("Ab1!");
    expect(writesOf(never)).toHaveLength(3);
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
