import { describe, expect, test } from "vitest";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { InterruptedWriteError } from "../conversation.ts";
import { nameBytes } from "../scripted-bmc.fixture.ts";
import { disabled, nameHex, obedient, passwordHex, ScriptedPasswords, wanted } from "./account.fixture.ts";
import { AccountRefusedError, SlotTakenError } from "./account-error.ts";
import { applyAccount } from "./apply-account.ts";
import { InbandLockedError } from "./inband-locked.ts";
import { proveAccount } from "./prove-account.ts";

type Bmc = ReturnType<typeof obedient>;

const apply = ({ conversation }: Bmc, passwords = new ScriptedPasswords(), replaces?: string) =>
  applyAccount(conversation, replaces === undefined ? wanted : { ...wanted, replaces }, passwords);

/** The lines that begin so. */
const linesOf = ({ log }: Bmc, start: string) => log.filter((line) => line.startsWith(start));

const setsPassword = (line: string) => /^Set User Password .302/.test(line);
const formsOf = ({ stored }: ScriptedPasswords) => stored.map(({ form }) => form.name);

describe("applyAccount", () => {
  test("name, password, access with limit 0, enable with 18 bytes; then channel and SOL: six commands", async () => {
    const bmc = obedient();
    expect(await apply(bmc)).toEqual([]);
    expect(bmc.log).toEqual([
      `Set User Name 03${nameHex}`,
      `Set User Password 0302${passwordHex}`,
      "Set User Access 92030400",
      `Set User Password 0301${"00".repeat(16)}`,
      "Get Channel Access 0280",
      "Set User Payload Access 020302000000",
    ]);
  });

  test("in a slot that was ours, what is so already is not written", async () => {
    const bmc = obedient();
    await apply(bmc, undefined, "rivetold");
    expect(bmc.log.map((each) => each.split(" ").slice(0, 3).join(" "))).toEqual([
      "Get User Access",
      "Set User Name",
      "Set User Password",
      "Get Channel Access",
      "Set User Payload",
    ]);
    const same = obedient();
    await apply(same, undefined, wanted.userName);
    expect(linesOf(same, "Set User Name")).toEqual([]);
  });
});

describe("the name", () => {
  test("that the BMC refuses is an error, one that it has all the same is not", async () => {
    const refused = (name: string) =>
      obedient((line) => {
        if (line.startsWith("Set User Name")) return 0xcc;
        return line.startsWith("Get User Name") ? nameBytes(name) : undefined;
      });
    await apply(refused(wanted.userName));
    const bmc = refused("");
    await expect(apply(bmc)).rejects.toThrow(
      /^the BMC refuses the name "rivet0123456789" for user ID 3: Set User Name: completion code CCh.*rivet\.user_slot=N.*run again\.$/,
    );
    expect(linesOf(bmc, "Set User Password")).toEqual([]);
  });

  test("of somebody else who came meanwhile is left alone", async () => {
    const bmc = obedient((line) => {
      if (line.startsWith("Set User Name")) return 0xcc;
      return line.startsWith("Get User Name") ? nameBytes("ADMIN") : undefined;
    });
    await expect(apply(bmc)).rejects.toThrow(SlotTakenError);
    expect(linesOf(bmc, "Set ")).toHaveLength(1);
  });

  test.each([
    [0xd4, InbandLockedError],
    // Of other slots it may be otherwise.
    [0xd5, AccountRefusedError],
    [0xd6, AccountRefusedError],
    [0xc1, AccountRefusedError],
  ])("%d to it, and again, is believed; once is a mood", async (code, refusal) => {
    const saying = (times: number) =>
      obedient((line, nth) => {
        if (line.startsWith("Set User Name")) return nth <= times ? code : [];
        return line.startsWith("Get User Name") ? nameBytes("") : undefined;
      });
    const locked = saying(Number.POSITIVE_INFINITY);
    await expect(apply(locked)).rejects.toThrow(refusal);
    expect(linesOf(locked, "Set ")).toHaveLength(2);
    await apply(saying(1));
  });
});

describe("the password", () => {
  test.each([0xc7, 0xc8])("%d to 16 bytes: another one in 20 bytes, and tested with 20", async (code) => {
    const bmc = obedient((line) => (line.startsWith("Set User Password 0302") ? code : undefined));
    const passwords = new ScriptedPasswords();
    await apply(bmc, passwords);
    expect(formsOf(passwords)).toEqual(["sixteen", "sixteen in twenty"]);
    const second = Buffer.from(passwords.current.characters).toString("hex");
    expect(second).not.toBe(passwordHex);
    expect(bmc.log).toContain(`Set User Password 8302${second}00000000`);
    await proveAccount(bmc.conversation, wanted, passwords);
    expect(bmc.log).toContain(`Set User Password 8303${second}00000000`);
  });

  test.each([0xcc, 0x8f, 0xff])("%d to it: another one in the next form, until one is taken", async (code) => {
    const passwords = new ScriptedPasswords();
    const takes = () => passwords.current.form.name === "other specials";
    const bmc = obedient((line) => (setsPassword(line) && !takes() ? code : undefined));
    await apply(bmc, passwords);
    expect(formsOf(passwords)).toEqual(["sixteen", "sixteen in twenty", "twenty", "other specials"]);
    expect(new Set(linesOf(bmc, "Set User Password").filter(setsPassword)).size).toBe(4);
  });

  test("FFh is waited for as long as it may be a busy BMC, and not again for every password", async () => {
    const bmc = obedient((line) => (setsPassword(line) ? 0xff : undefined));
    await expect(apply(bmc)).rejects.toThrow("16 characters in 16 bytes (FFh, FFh)");
    expect(linesOf(bmc, "Set User Password")).toHaveLength(8 + 7 * 3);
    expect(bmc.waits.reduce((sum, each) => sum + each, 0)).toBeLessThan(10_000);
  });

  test("refused 8 times: said with what was tried, without any password", async () => {
    const bmc = obedient((line) => (setsPassword(line) ? 0xcc : undefined));
    const passwords = new ScriptedPasswords();
    const error = (await apply(bmc, passwords).catch((each: unknown) => each)) as Error;
    expect(error).toBeInstanceOf(AccountRefusedError);
    expect(error.message).toContain("16 characters in 16 bytes (CCh, CCh), 16 characters in 20 bytes (CCh, CCh)");
    expect(String(error.stack)).not.toContain("Ab1!");
    expect(passwords.stored).toHaveLength(8);
    expect(linesOf(bmc, "Set User Access")).toEqual([]);
  });

  test("refused in a slot that was ours: it gets its former name back, so that the former login works", async () => {
    const bmc = obedient((line) => (setsPassword(line) ? 0xcc : undefined));
    await expect(apply(bmc, undefined, "rivetold")).rejects.toThrow(AccountRefusedError);
    const formerHex = Buffer.from(nameBytes("rivetold")).toString("hex");
    expect(linesOf(bmc, "Set User Name")).toEqual([`Set User Name 03${nameHex}`, `Set User Name 03${formerHex}`]);
  });

  test("refused because the BMC lost the name: the name is written again, the password is the same", async () => {
    let names = 0;
    const bmc = obedient((line) => {
      if (line.startsWith("Set User Name")) names += 1;
      if (line.startsWith("Get User Name")) return nameBytes(names < 2 ? "" : wanted.userName);
      return setsPassword(line) && names < 2 ? 0xff : undefined;
    });
    const passwords = new ScriptedPasswords();
    await apply(bmc, passwords);
    expect(passwords.stored).toHaveLength(1);
    expect(names).toBe(2);
    expect(bmc.conversation.pace.pauseMs).toBeGreaterThan(0);
  });

  test.each([0xd5, 0xd6, 0xc1])("%d to it, while the name is there: locked", async (code) => {
    const bmc = obedient((line) => (setsPassword(line) ? code : undefined));
    await expect(apply(bmc)).rejects.toThrow(InbandLockedError);
    expect(linesOf(bmc, "Set User Password")).toHaveLength(1);
  });

  test("a busy BMC has refused nothing", async () => {
    const bmc = obedient((line) => (setsPassword(line) ? 0xc0 : undefined));
    const passwords = new ScriptedPasswords();
    await expect(apply(bmc, passwords)).rejects.toThrow(CompletionCodeError);
    expect(passwords.stored).toHaveLength(1);
  });
});

describe("a write that broke off", () => {
  const writes = ["Set User Name", "Set User Password 0302", "Set User Access", "Set User Password 0301"];

  test.each(writes)("%s: looked at, and not sent again if the BMC has it", async (write) => {
    const bmc = obedient((line) => (line.startsWith(write) ? "no answer" : undefined));
    // A password cannot be read: the same one is sent again.
    if (write.endsWith("02")) await expect(apply(bmc)).rejects.toThrow(InterruptedWriteError);
    else await apply(bmc);
    expect(linesOf(bmc, write)).toHaveLength(write.endsWith("02") ? 3 : 1);
  });

  test.each(writes)("%s: looked at, and sent again if the BMC lost it, twice", async (write) => {
    const bmc = obedient((line, nth) => {
      if (line.startsWith(write)) return nth <= 2 ? "no answer" : [];
      if (line.startsWith("Get User Name")) return nameBytes(write === "Set User Name" ? "" : wanted.userName);
      return line.startsWith("Get User Access") ? disabled.with(3, 0x0f) : undefined;
    });
    const passwords = new ScriptedPasswords();
    await apply(bmc, passwords);
    expect(linesOf(bmc, write)).toHaveLength(3);
    expect(passwords.stored).toHaveLength(1);
  });
});

describe("access and enabling", () => {
  test("refused with messaging in it: privilege first and alone, then both (Dell R420, Supermicro)", async () => {
    let privileged = false;
    const bmc = obedient((line) => {
      if (line.startsWith("Get User Access")) return disabled.with(3, 0x0f);
      if (line.startsWith("Set User Access 02")) privileged = true;
      return line.startsWith("Set User Access 92") && !privileged ? 0xcc : undefined;
    });
    await apply(bmc);
    expect(linesOf(bmc, "Set User Access")).toEqual([
      "Set User Access 92030400",
      "Set User Access 02030400",
      "Set User Access 92030400",
    ]);
  });

  test("of four bytes refused by their number: three", async () => {
    const bmc = obedient((line) => {
      if (line.startsWith("Get User Access")) return disabled.with(3, 0x0f);
      return line === "Set User Access 92030400" ? 0xc7 : undefined;
    });
    await apply(bmc);
    expect(linesOf(bmc, "Set User Access")).toEqual(["Set User Access 92030400", "Set User Access 920304"]);
  });

  test.each([0xc7, 0x81, 0xcc])("%d to enabling with 18 bytes: 2 bytes, then 22", async (code) => {
    const enables = (bmc: Bmc) => bmc.log.filter((line) => /^Set User Password .301/.test(line));
    const two = obedient((line) => {
      if (line.startsWith("Get User Access")) return disabled;
      return line.startsWith("Set User Password 030100") ? code : undefined;
    });
    await apply(two);
    expect(enables(two).at(-1)).toBe("Set User Password 0301");
    const twentyTwo = obedient((line) => {
      if (line.startsWith("Get User Access")) return disabled;
      return line.startsWith("Set User Password 0301") ? code : undefined;
    });
    await apply(twentyTwo);
    expect(enables(twentyTwo).at(-1)).toBe(`Set User Password 8301${"00".repeat(20)}`);
  });

  test("CCh to enabling what is enabled (Lenovo XCC) is right, to what is not it is an error", async () => {
    const refuses = (line: string) => (/^Set User Password .301/.test(line) ? 0xcc : undefined);
    await apply(obedient(refuses));
    const off = obedient((line) => (line.startsWith("Get User Access") ? disabled : refuses(line)));
    await expect(apply(off)).rejects.toThrow(CompletionCodeError);
  });

  test("D5h to enabling, because the password was lost (Dell R610): it is set again", async () => {
    let passwords = 0;
    let isEnabled = false;
    const bmc = obedient((line) => {
      if (setsPassword(line)) passwords += 1;
      if (line.startsWith("Set User Password 0303")) return passwords < 2 ? 0x80 : [];
      if (line.startsWith("Get User Access")) return isEnabled ? undefined : disabled;
      if (!line.startsWith("Set User Password 0301")) return undefined;
      if (passwords < 2) return 0xd5;
      isEnabled = true;
      return [];
    });
    expect(await apply(bmc)).toEqual([expect.stringContaining("does not know it any more")]);
    expect(linesOf(bmc, `Set User Password 0302${passwordHex}`)).toHaveLength(2);
  });
});

describe("channel and SOL", () => {
  test("a closed channel is opened in both copies, keeping the other bits; a refusal is a finding", async () => {
    const bmc = obedient((line, nth) => {
      if (line === "Get Channel Access 0280") return nth === 1 ? [0x18, 2] : [0x1a, 4];
      if (line === "Get Channel Access 0240") return nth === 1 ? [0x38, 4] : [0x3a, 4];
      return undefined;
    });
    expect(await apply(bmc)).toHaveLength(2);
    expect(linesOf(bmc, "Set Channel Access")).toEqual(["Set Channel Access 029a84", "Set Channel Access 027a04"]);
    const other = obedient((line) => {
      if (line.startsWith("Get Channel Access")) return [0x18, 2];
      return line.startsWith("Set Channel Access") ? 0x83 : undefined;
    });
    expect((await apply(other))[0]).toContain("left as it is: completion code 83h");
  });

  test("a write that got lost is done again; a BMC that keeps none is a finding", async () => {
    const forgetful = obedient((line, nth) => {
      if (line === "Get Channel Access 0280") return nth < 3 ? [0x18, 2] : [0x1a, 4];
      return line === "Get Channel Access 0240" ? [0x18, 2] : undefined;
    });
    expect(await apply(forgetful)).toEqual([
      "Channel 2 (in use) was opened to privilege 4 at all times.",
      "Channel 2 (stored) was left as it is: the BMC does not keep what is written to it.",
    ]);
    expect(linesOf(forgetful, "Set Channel Access 029a")).toHaveLength(2);
    expect(linesOf(forgetful, "Set Channel Access 025a")).toHaveLength(2);
  });

  test("a BMC that restarts over it is looked at again, twice is a finding", async () => {
    const opened = obedient((line, nth) => {
      if (line === "Get Channel Access 0280") return nth === 1 ? [0x18, 2] : [0x22, 4];
      return line.startsWith("Set Channel Access") || line.startsWith("Set User Payload") ? "no answer" : undefined;
    });
    expect(await apply(opened)).toEqual([
      "Channel 2 (in use) was opened to privilege 4 at all times.",
      expect.stringMatching(/^Serial over LAN was not enabled for the account: .*broke off/),
    ]);
    expect(linesOf(opened, "Set Channel Access")).toHaveLength(1);
    expect(linesOf(opened, "Set User Payload Access")).toHaveLength(2);
    const never = obedient((line) => {
      if (line === "Get Channel Access 0280") return [0x18, 2];
      return line.startsWith("Set Channel Access 029a") ? "no answer" : undefined;
    });
    expect((await apply(never))[0]).toMatch(/^Channel 2 \(in use\) was to be opened, but may not be: .*broke off/);
  });

  test.each(["Get Channel Access", "Set User Payload Access"])(
    "%s: a BMC that is busy after a write is waited for",
    async (name) => {
      const bmc = obedient((line, nth) => (line.startsWith(name) && nth < 6 ? 0xc0 : undefined));
      expect(await apply(bmc)).toEqual([]);
    },
  );

  test.each([0xc1, 0xd4])("no SOL (%d): a finding", async (code) => {
    const bmc = obedient((line) => (line.startsWith("Set User Payload") ? code : undefined));
    expect(await apply(bmc)).toEqual([
      expect.stringMatching(/^Serial over LAN was not enabled for the account: completion code/),
    ]);
  });
});
