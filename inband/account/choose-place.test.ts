import { describe, expect, test } from "vitest";
import { nameBytes, type ScriptedAnswer, scriptedBmc } from "../scripted-bmc.fixture.ts";
import { choosePlace, FormerAccountUnreadableError, isStillEmpty } from "./choose-place.ts";
import { NoFreeSlotError, type PlaceOptions, SlotsUnreadableError } from "./plan-account.ts";

const nobody = [5, 0x81, 1, 0x0f];
const enabled = [5, 0x41, 1, 0x14];
const disabledAdministrator = [5, 0x81, 1, 0x04];

/** A BMC with user IDs 1 to 5. What is not given is empty with a name of 00h, and has no rights. */
function withUsers(
  names: Readonly<Record<number, ScriptedAnswer | ((nth: number) => ScriptedAnswer)>>,
  rights: Readonly<Record<number, ScriptedAnswer>> = {},
) {
  return scriptedBmc((name, data, nth) => {
    const id = (name === "Get User Access" ? data[1] : data[0]) ?? 0;
    if (name === "Get User Access") return rights[id] ?? nobody;
    const answer = names[id] ?? nameBytes("");
    return typeof answer === "function" ? answer(nth) : answer;
  });
}

const choose = (bmc: ReturnType<typeof scriptedBmc>, options: Partial<PlaceOptions> = {}) =>
  choosePlace(bmc.conversation, 1, { ourNames: [], ourSlot: "not expected", ...options });

describe("choosePlace", () => {
  test("a scan and nothing more, where the BMC tells which names are empty", async () => {
    const bmc = withUsers({ 2: nameBytes("ADMIN") });
    expect(await choose(bmc)).toMatchObject({ slot: 3, takenNames: new Set(["ADMIN"]) });
    expect(bmc.log).toHaveLength(5);
  });

  test("empty by a completion code: the name is asked for again, and the rights are nobody's: two commands", async () => {
    const bmc = withUsers({ 2: nameBytes("ADMIN"), 3: 0xcb, 4: 0xcb, 5: 0xcb });
    expect((await choose(bmc)).slot).toBe(3);
    expect(bmc.log.slice(5)).toEqual(["Get User Name 03", "Get User Access 0103"]);
  });

  test("a single wrong CCh does not give away the account of somebody else", async () => {
    const names = {
      2: nameBytes("ADMIN"),
      3: (nth: number) => (nth === 1 ? 0xcc : nameBytes("root")),
      4: 0xcc,
      5: 0xcc,
    };
    expect((await choose(withUsers(names))).slot).toBe(4);
  });

  test.each([
    ["enabled", enabled],
    ["disabled, but administrator", disabledAdministrator],
    ["unknown", 0xcc],
  ])("CCh for ever, and rights that are %s: not taken", async (_what, rights) => {
    const names = { 2: nameBytes("ADMIN"), 3: 0xcc, 4: 0xcc, 5: 0xcc };
    expect((await choose(withUsers(names, { 3: rights }))).slot).toBe(4);
    const all = { 3: rights, 4: rights, 5: rights };
    await expect(choose(withUsers(names, all))).rejects.toThrow(NoFreeSlotError);
  });

  test("an operator may vouch for such a slot, unless it is enabled", async () => {
    const names = { 2: nameBytes("ADMIN"), 3: 0xcc, 4: 0xcc, 5: 0xcc };
    expect((await choose(withUsers(names, { 5: disabledAdministrator }), { userSlot: 5 })).slot).toBe(5);
    expect((await choose(withUsers(names, { 5: 0xcc }), { userSlot: 5 })).slot).toBe(5);
    await expect(choose(withUsers(names, { 5: enabled }), { userSlot: 5 })).rejects.toThrow(
      /user ID 5 \(user_slot\) is not free.*5 unreadable \(it has no name, but rights\)/,
    );
  });

  test("our former account is looked for again where the BMC told no name", async () => {
    const names = { 3: (nth: number) => (nth === 1 ? 0xcc : nameBytes("rivetold")) };
    expect(await choose(withUsers(names), { ourNames: ["rivetold"], ourSlot: 3 })).toMatchObject({
      slot: 3,
      replaces: "rivetold",
    });
  });

  test.each([
    ["unreadable", { 3: 0xff }, 3],
    ["out of range", { 3: 0xc9 }, 4],
    ["unreadable, and it is not known where our account was", { 2: 0xff }, "unknown"],
  ] as const)("if its slot stays %s, there is no second account", async (_what, names, ourSlot) => {
    await expect(choose(withUsers(names), { ourNames: ["rivetold"], ourSlot })).rejects.toThrow(
      FormerAccountUnreadableError,
    );
  });

  test("an older account of ours elsewhere does not stand for the one in use", async () => {
    const options = { ourNames: ["riveta", "rivetb"], ourSlot: 4 };
    const unread = withUsers({ 2: nameBytes("riveta"), 4: 0xff });
    await expect(choose(unread, options)).rejects.toThrow(FormerAccountUnreadableError);
    const late = withUsers({ 2: nameBytes("riveta"), 4: (nth: number) => (nth === 1 ? 0xcc : nameBytes("rivetb")) });
    expect(await choose(late, options)).toMatchObject({ slot: 4, replaces: "rivetb" });
    const gone = withUsers({ 2: nameBytes("riveta") });
    expect(await choose(gone, options)).toMatchObject({ slot: 2, replaces: "riveta" });
  });

  test.each([3, "unknown"] as const)(
    "empty by a completion code, but with rights, where our account was (slot %s): there is no second account",
    async (ourSlot) => {
      const names = { 2: nameBytes("ADMIN"), 3: 0xcc, 4: 0xcc, 5: 0xcc };
      const options = { ourNames: ["rivetold"], ourSlot };
      await expect(choose(withUsers(names, { 3: enabled }), options)).rejects.toThrow(FormerAccountUnreadableError);
      await expect(choose(withUsers(names, { 3: enabled }), { ...options, userSlot: 4 })).rejects.toThrow(
        "3: it has no name, but rights",
      );
      expect((await choose(withUsers(names), options)).slot).toBe(3);
    },
  );

  test("further places: told as empty first, then empty by a completion code; each is looked at before use", async () => {
    const bmc = withUsers({ 2: 0xcc, 3: 0xcc, 4: nameBytes(""), 5: nameBytes("") }, { 2: enabled });
    expect(await choose(bmc)).toMatchObject({ slot: 4, otherSlots: [5, 3, 2] });
    const still = await Promise.all([5, 3, 2].map((slot) => isStillEmpty(bmc.conversation, 1, slot)));
    expect(still).toEqual([true, true, false]);
  });

  test("a BMC that is busy for ever is a matter for the next run, and does not take minutes", async () => {
    const bmc = scriptedBmc((name) => (name === "Get User Access" ? [63, 1, 1, 0x0f] : 0xc0));
    const error = await choose(bmc).catch((each: unknown) => each);
    expect(error).toBeInstanceOf(SlotsUnreadableError);
    expect((error as Error).message).toMatch(/2 unreadable \(completion code C0h.*63 unreadable.*run again/);
    expect(bmc.waits.reduce((sum, each) => sum + each, 0)).toBeLessThan(30_000);
    expect((await choose(withUsers({ 3: 0xc0, 4: 0xc3 }))).slot).toBe(5);
  });

  test("if it need not be there, because the BMC is another one, an unreadable slot does not matter", async () => {
    const bmc = withUsers({ 4: 0xff });
    expect((await choose(bmc, { ourNames: ["rivetold"], ourSlot: "not expected" })).slot).toBe(3);
  });

  test("if it is gone for sure, it is made anew, also with another slot unreadable", async () => {
    expect(await choose(withUsers({ 5: 0xff }), { ourNames: ["rivetold"], ourSlot: 3 })).toMatchObject({
      slot: 3,
      findings: [expect.stringContaining("slot 5 could not be read")],
    });
  });
});
