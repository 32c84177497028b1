import { describe, expect, test } from "vitest";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { nameBytes, type ScriptedAnswer, scriptedBmc } from "../scripted-bmc.fixture.ts";
import { AccountError, AccountRefusedError, applyAccount, type WantedAccount } from "./apply-account.ts";
import { NoFreeSlotError, planAccount } from "./plan-account.ts";
import { proveAccount } from "./prove-account.ts";
import { type AccountScan, InbandLockedError, type Slot, scanAccounts } from "./scan-accounts.ts";

const empty = new Array<number>(16).fill(0);

function scanned(names: Readonly<Record<number, ScriptedAnswer>>, counts: ScriptedAnswer = [5, 1, 1, 0x0f]) {
  return scriptedBmc((name, [first = 0]) => (name === "Get User Access" ? counts : (names[first] ?? empty)));
}

describe("scanAccounts", () => {
  test("asks for every name from 2 on", async () => {
    const { conversation, log } = scanned({ 2: nameBytes("ADMIN") });
    const scan = await scanAccounts(conversation, 1, "all");
    expect(scan).toMatchObject({ channel: 1, maxUserIds: 5, fixedNameCount: 1 });
    expect(scan.slots.map(({ id, state }) => `${id} ${state}`)).toEqual(["2 named", "3 empty", "4 empty", "5 empty"]);
    expect(log).toEqual(["Get User Access 0101", ...[2, 3, 4, 5].map((id) => `Get User Name 0${id}`)]);
  });

  test.each([
    ["16 times 00h", empty],
    ["16 times FFh (pyghmi)", new Array<number>(16).fill(0xff)],
    ["HP's words", nameBytes("(Empty User)")],
    ["CCh (Sun, Inventec)", 0xcc],
    ["CBh (Lenovo)", 0xcb],
  ])("empty: %s", async (_what, answer) => {
    const { slots } = await scanAccounts(scanned({ 3: answer }).conversation, 1, "all");
    expect(slots[1]).toEqual({ id: 3, state: "empty" });
  });

  test.each([0xc0, 0xc3, 0xce, 0xd2, 0xff])("%d is asked again, and never empty", async (code) => {
    const { conversation, log } = scanned({ 3: code });
    const { slots } = await scanAccounts(conversation, 1, "all");
    expect(slots[1]).toMatchObject({ id: 3, state: "unreadable", reason: expect.stringContaining("completion code") });
    expect(log.filter((each) => each === "Get User Name 03")).toHaveLength(8);
  });

  test("a busy BMC is waited for", async () => {
    const { conversation, waits } = scriptedBmc((name, [id], nth) => {
      if (name === "Get User Access") return nth < 3 ? 0xc0 : [3, 1, 1, 0];
      return id === 3 && nth < 6 ? 0xc0 : nameBytes("someone");
    });
    const { slots } = await scanAccounts(conversation, 1, "all");
    expect(slots.map(({ state }) => state)).toEqual(["named", "named"]);
    expect(waits).toEqual([50, 100, 50, 100, 200, 400, 800]);
  });

  test("C9h is the end of the user IDs", async () => {
    const { conversation } = scanned({ 4: 0xc9 }, [63, 1, 1, 0x0f]);
    expect((await scanAccounts(conversation, 1, "all")).slots.map(({ id }) => id)).toEqual([2, 3]);
  });

  test("a table of 63 is read beyond 16 only until there is a free slot", async () => {
    const ids = async (taken: number, extent: "all" | "usual") => {
      const names = (id: number) => (id <= taken ? nameBytes(`user${id}`) : nameBytes(""));
      const { conversation } = scriptedBmc((name, [id = 0]) =>
        name === "Get User Access" ? [63, 1, 1, 0] : names(id),
      );
      return (await scanAccounts(conversation, 1, extent)).slots.at(-1)?.id;
    };
    expect(await ids(2, "usual")).toBe(16);
    expect(await ids(15, "usual")).toBe(16);
    expect(await ids(16, "usual")).toBe(17);
    expect(await ids(40, "usual")).toBe(41);
    expect(await ids(63, "usual")).toBe(63);
    expect(await ids(2, "all")).toBe(63);
    const onlyTwo = scriptedBmc((name, [id = 0]) =>
      name === "Get User Access" ? [63, 1, 1, 0] : nameBytes(id === 2 || id > 20 ? "" : `user${id}`),
    );
    expect((await scanAccounts(onlyTwo.conversation, 1, "usual")).slots.at(-1)?.id).toBe(21);
  });

  test("D4h, or a refusal of what every BMC has to know: locked", async () => {
    for (const code of [0xd4, 0xd5, 0xd6, 0xc1]) {
      await expect(scanAccounts(scanned({}, code).conversation, 1, "all")).rejects.toThrow(InbandLockedError);
    }
    await expect(scanAccounts(scanned({ 3: 0xd4 }).conversation, 1, "all")).rejects.toThrow(
      /Get User Name.*KCS restricted/,
    );
  });

  test("without numbers of users nothing is presumed", async () => {
    await expect(scanAccounts(scanned({}, 0xcc).conversation, 1, "all")).rejects.toThrow(CompletionCodeError);
  });

  test("0 user IDs say nothing: ten are looked at", async () => {
    expect((await scanAccounts(scanned({}, [0, 0, 0, 0]).conversation, 1, "all")).slots).toHaveLength(9);
  });
});

const named = (id: number, name: string): Slot => ({ id, state: "named", name });
const free = (id: number): Slot => ({ id, state: "empty" });
const unreadable = (id: number): Slot => ({ id, state: "unreadable", reason: "completion code FFh" });
const scan = (slots: readonly Slot[], fixedNameCount = 1): AccountScan => ({
  channel: 1,
  maxUserIds: slots.length + 1,
  fixedNameCount,
  slots,
});

describe("planAccount", () => {
  test("the first empty slot from 3 on", () => {
    expect(planAccount(scan([free(2), named(3, "x"), free(4), free(5)]), [])).toEqual({ slot: 4, findings: [] });
  });

  test("slot 2 only if nothing else is free", () => {
    expect(planAccount(scan([free(2), named(3, "x")]), []).slot).toBe(2);
  });

  test("slots with fixed names are not free", () => {
    expect(planAccount(scan([free(2), free(3), free(4), free(5)], 4), []).slot).toBe(5);
  });

  test("an account of ours is replaced where it is, also below an empty slot", () => {
    const plan = planAccount(scan([named(2, "ADMIN"), free(3), named(4, "rivetold")]), ["rivetold"]);
    expect(plan).toEqual({ slot: 4, replaces: "rivetold", findings: [] });
  });

  test("a name like ours that was never in escrow is somebody else's", () => {
    expect(planAccount(scan([named(2, "ADMIN"), named(3, "rivetother"), free(4)]), ["rivetold"]).slot).toBe(4);
  });

  test("more accounts of ours: the first is taken, the others are told", () => {
    const plan = planAccount(scan([free(2), named(3, "rivetb"), named(4, "riveta")]), ["riveta", "rivetb"]);
    expect(plan).toMatchObject({ slot: 3, replaces: "rivetb", findings: [expect.stringContaining('"riveta"')] });
  });

  test("unreadable is not free, and told", () => {
    expect(planAccount(scan([free(2), unreadable(3), free(4)]), [])).toEqual({
      slot: 4,
      findings: ["The name in slot 3 could not be read: completion code FFh"],
    });
    expect(() => planAccount(scan([named(2, "ADMIN"), unreadable(3)]), [])).toThrow(NoFreeSlotError);
    expect(() => planAccount(scan([named(2, "ADMIN"), unreadable(3)]), [])).toThrow(
      '2 "ADMIN", 3 unreadable (completion code FFh). Accounts of others are never touched',
    );
  });
});

const wanted: WantedAccount = {
  channel: 2,
  slot: 3,
  userName: "rivet0123456789",
  password: Buffer.from("Ab1!Ab1!Ab1!Ab1x", "latin1"),
  privilege: 4,
};
const passwordHex = Buffer.from(wanted.password).toString("hex");
const nameHex = Buffer.from(nameBytes(wanted.userName)).toString("hex");
const withRights = [16, 0x41, 1, 0x14];
const openChannel = [0x22, 4];

function obedient(changes: (line: string, nth: number) => ScriptedAnswer | undefined = () => undefined) {
  return scriptedBmc((name, data, nth) => {
    const line = `${name} ${Buffer.from(data).toString("hex")}`;
    const changed = changes(line, nth);
    if (changed !== undefined) return changed;
    if (name === "Get User Access") return withRights;
    if (name === "Get Channel Access") return openChannel;
    return name === "Get User Name" ? nameBytes(wanted.userName) : [];
  });
}

describe("applyAccount", () => {
  test("name, password, access with limit 0, enable with 18 bytes; then channel and SOL", async () => {
    const { conversation, log } = obedient();
    expect(await applyAccount(conversation, wanted)).toEqual({ passwordBytes: 16, findings: [] });
    expect(log).toEqual([
      `Set User Name 03${nameHex}`,
      `Set User Password 0302${passwordHex}`,
      "Set User Access 92030400",
      `Set User Password 0301${"00".repeat(16)}`,
      "Get Channel Access 0280",
      "Set User Payload Access 020302000000",
    ]);
  });

  test("in a slot that was ours, what is so already is not written", async () => {
    const { conversation, log } = obedient();
    await applyAccount(conversation, { ...wanted, replaces: "rivetold" });
    expect(log.map((each) => each.split(" ").slice(0, 3).join(" "))).toEqual([
      "Get User Access",
      "Set User Name",
      "Set User Password",
      "Get Channel Access",
      "Set User Payload",
    ]);
  });

  test.each([0xc7, 0xc8, 0xcc])("%d to 16 bytes: 20 bytes, and tested with 20", async (code) => {
    const { conversation, log } = obedient((line) =>
      line === `Set User Password 0302${passwordHex}` ? code : undefined,
    );
    const { passwordBytes } = await applyAccount(conversation, wanted);
    expect(passwordBytes).toBe(20);
    expect(log).toContain(`Set User Password 8302${passwordHex}00000000`);
    await proveAccount(conversation, wanted, passwordBytes);
    expect(log).toContain(`Set User Password 8303${passwordHex}00000000`);
  });

  test("C7h to enabling with 18 bytes: 2 bytes (Sun X4140 the other way round)", async () => {
    const { conversation, log } = obedient((line) => (line.startsWith("Set User Password 030100") ? 0xc7 : undefined));
    await applyAccount(conversation, wanted);
    expect(log).toContain("Set User Password 0301");
  });

  test("CCh to enabling what is enabled (Lenovo XCC) is right, to what is not it is an error", async () => {
    const refused = (rights: number[]) =>
      obedient((line) => {
        if (line.startsWith("Set User Password 0301")) return 0xcc;
        return line.startsWith("Get User Access") ? rights : undefined;
      });
    await applyAccount(refused(withRights).conversation, wanted);
    await expect(applyAccount(refused([16, 0x81, 1, 0x14]).conversation, wanted)).rejects.toThrow(CompletionCodeError);
  });

  test("a name that the BMC refuses is an error, one that it took all the same is not", async () => {
    const refused = (name: string) =>
      obedient((line) => {
        if (line.startsWith("Set User Name")) return 0xcc;
        return line.startsWith("Get User Name") ? nameBytes(name) : undefined;
      });
    await applyAccount(refused(wanted.userName).conversation, wanted);
    const { conversation, log } = refused("");
    await expect(applyAccount(conversation, wanted)).rejects.toThrow(
      /^the BMC refuses the name "rivet0123456789" for user ID 3: Set User Name: completion code CCh.*run again\.$/,
    );
    expect(log.some((each) => each.startsWith("Set User Password"))).toBe(false);
  });

  test.each([0xcc, 0x8f])("a password that the BMC refuses (%d): said, without the password", async (code) => {
    const { conversation } = obedient((line) => (/^Set User Password .302/.test(line) ? code : undefined));
    const error = await applyAccount(conversation, wanted).catch((each: unknown) => each);
    expect(error).toBeInstanceOf(AccountRefusedError);
    expect(String((error as Error).stack)).toContain("refuses the password for user ID 3");
    expect(String((error as Error).stack)).not.toContain("Ab1!");
  });

  test("D4h to a write: locked", async () => {
    const { conversation } = obedient((line) => (line.startsWith("Set User Name") ? 0xd4 : undefined));
    await expect(applyAccount(conversation, wanted)).rejects.toThrow(InbandLockedError);
  });

  test("a closed channel is opened in both copies, keeping the other bits; a refusal is a finding", async () => {
    const { conversation, log } = obedient((line) => {
      if (line === "Get Channel Access 0280") return [0x18, 2];
      if (line === "Get Channel Access 0240") return [0x38, 4];
      return line.startsWith("Set Channel Access 025") ? 0x83 : undefined;
    });
    const { findings } = await applyAccount(conversation, wanted);
    expect(log.filter((each) => each.startsWith("Set Channel Access"))).toEqual([
      "Set Channel Access 029a84",
      "Set Channel Access 027a04",
    ]);
    expect(findings).toHaveLength(2);
    const other = obedient((line) => {
      if (line.startsWith("Get Channel Access")) return [0x18, 2];
      return line.startsWith("Set Channel Access") ? 0x83 : undefined;
    });
    expect((await applyAccount(other.conversation, wanted)).findings[0]).toContain(
      "left as it is: completion code 83h",
    );
  });

  test.each(["Get Channel Access", "Set User Payload Access"])(
    "%s: a BMC that is busy after a write is waited for",
    async (name) => {
      const { conversation } = obedient((line, nth) => (line.startsWith(name) && nth < 6 ? 0xc0 : undefined));
      expect((await applyAccount(conversation, wanted)).findings).toEqual([]);
    },
  );

  test("no SOL: a finding", async () => {
    const { conversation } = obedient((line) => (line.startsWith("Set User Payload") ? 0xc1 : undefined));
    expect((await applyAccount(conversation, wanted)).findings).toEqual([
      "Serial over LAN was not enabled for the account: completion code C1h (invalid command)",
    ]);
  });
});

describe("proveAccount", () => {
  test("tests the password, reads rights and name back: three commands", async () => {
    const { conversation, log } = obedient();
    expect(await proveAccount(conversation, wanted, 16)).toBe("password tested");
    expect(log).toEqual([`Set User Password 0303${passwordHex}`, "Get User Access 0203", "Get User Name 03"]);
  });

  test.each([0xc1, 0xc7, 0xcc])("%d to the test: the BMC cannot test", async (code) => {
    const { conversation } = obedient((line) => (line.startsWith("Set User Password 0303") ? code : undefined));
    expect(await proveAccount(conversation, wanted, 16)).toBe("read back only");
  });

  test.each([0x80, 0x81])("%d to the test: a failure that does not show the password", async (code) => {
    const { conversation } = obedient((line) => (line.startsWith("Set User Password 0303") ? code : undefined));
    const error = await proveAccount(conversation, wanted, 16).catch((each: unknown) => each);
    expect(error).toBeInstanceOf(AccountError);
    expect(String((error as Error).stack)).not.toContain("Ab1!");
  });

  test("rights that did not stick are written once more, then it is an error", async () => {
    const late = obedient((line, nth) =>
      line === "Get User Access 0203" && nth === 1 ? [16, 0x41, 1, 0x0f] : undefined,
    );
    await proveAccount(late.conversation, wanted, 16);
    expect(late.log.filter((each) => each.startsWith("Set User Access"))).toHaveLength(1);
    const never = obedient((line) => (line === "Get User Access 0203" ? [16, 0x41, 1, 0x0f] : undefined));
    await expect(proveAccount(never.conversation, wanted, 16)).rejects.toThrow(
      "user 3: the rights on channel 2 do not stick: privilege noAccess, IPMI messaging off",
    );
  });

  test("another name, or disabled: an error", async () => {
    const name = obedient((line) => (line.startsWith("Get User Name") ? nameBytes("ADMIN") : undefined));
    await expect(proveAccount(name.conversation, wanted, 16)).rejects.toThrow('but the BMC tells "ADMIN"');
    const disabled = obedient((line) => (line.startsWith("Get User Access") ? [16, 0x81, 1, 0x14] : undefined));
    await expect(proveAccount(disabled.conversation, wanted, 16)).rejects.toThrow("it is disabled");
  });
});
