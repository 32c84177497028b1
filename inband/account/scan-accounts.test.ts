import { describe, expect, test } from "vitest";
import { CompletionCodeError } from "../../ipmi/errors.ts";
import { nameBytes, type ScriptedAnswer, scriptedBmc } from "../scripted-bmc.fixture.ts";
import { InbandLockedError } from "./inband-locked.ts";
import { scanAccounts } from "./scan-accounts.ts";

const empty = new Array<number>(16).fill(0);

function scanned(names: Readonly<Record<number, ScriptedAnswer>>, counts: ScriptedAnswer = [5, 1, 1, 0x0f]) {
  return scriptedBmc((name, [first = 0]) => (name === "Get User Access" ? counts : (names[first] ?? empty)));
}

describe("scanAccounts", () => {
  test("asks for every name from 2 on", async () => {
    const { conversation, log } = scanned({ 2: nameBytes("ADMIN") });
    const scan = await scanAccounts(conversation, 1);
    expect(scan).toMatchObject({ channel: 1, maxUserIds: 5, fixedNameCount: 1 });
    expect(scan.slots.map(({ id, state }) => `${id} ${state}`)).toEqual(["2 named", "3 empty", "4 empty", "5 empty"]);
    expect(log).toEqual(["Get User Access 0101", ...[2, 3, 4, 5].map((id) => `Get User Name 0${id}`)]);
  });

  test.each([
    ["16 times 00h", empty],
    ["16 times FFh (pyghmi)", new Array<number>(16).fill(0xff)],
    ["HP's words", nameBytes("(Empty User)")],
  ])("empty: %s", async (_what, answer) => {
    const { slots } = await scanAccounts(scanned({ 3: answer }).conversation, 1);
    expect(slots[1]).toEqual({ id: 3, state: "empty" });
  });

  test.each([
    ["CCh (Sun, Inventec)", 0xcc],
    ["CBh (Lenovo)", 0xcb],
    ["16 blanks", new Array<number>(16).fill(0x20)],
  ])("presumed to be empty: %s", async (_what, answer) => {
    const { slots } = await scanAccounts(scanned({ 3: answer }).conversation, 1);
    expect(slots[1]).toEqual({ id: 3, state: "empty", presumed: true });
  });

  test.each([0xc0, 0xc3, 0xce, 0xd2, 0xff])("%d is asked again, and never empty", async (code) => {
    const { conversation, log } = scanned({ 3: code });
    const { slots } = await scanAccounts(conversation, 1);
    expect(slots[1]).toMatchObject({ id: 3, state: "unreadable", reason: expect.stringContaining("completion code") });
    expect(log.filter((each) => each === "Get User Name 03")).toHaveLength(8);
  });

  test("a busy BMC is waited for", async () => {
    const { conversation, waits } = scriptedBmc((name, [id], nth) => {
      if (name === "Get User Access") return nth < 3 ? 0xc0 : [3, 1, 1, 0];
      return id === 3 && nth < 6 ? 0xc0 : nameBytes("someone");
    });
    const { slots } = await scanAccounts(conversation, 1);
    expect(slots.map(({ state }) => state)).toEqual(["named", "named"]);
    expect(waits).toEqual([50, 100, 50, 100, 200, 400, 800]);
  });

  test("the numbers are waited for longest: without them nothing goes on", async () => {
    const { conversation } = scriptedBmc((name, _, nth) => {
      if (name === "Get User Access") return nth <= 30 ? 0xc0 : [3, 1, 1, 0];
      return nameBytes("someone");
    });
    expect((await scanAccounts(conversation, 1)).slots).toHaveLength(2);
  });

  test("C9h is the end of the user IDs, if it is said twice", async () => {
    const { conversation, log } = scanned({ 4: 0xc9 }, [63, 1, 1, 0x0f]);
    expect((await scanAccounts(conversation, 1)).slots.map(({ id }) => id)).toEqual([2, 3]);
    expect(log.slice(-2)).toEqual(["Get User Name 04", "Get User Name 04"]);
    const once = scriptedBmc((name, [id], nth) => {
      if (name === "Get User Access") return [5, 1, 1, 0x0f];
      return id === 4 && nth === 1 ? 0xc9 : nameBytes(`user${id}`);
    });
    expect((await scanAccounts(once.conversation, 1)).slots.map(({ id }) => id)).toEqual([2, 3, 4, 5]);
  });

  test.each([0, 1, 62])(
    "a table of 63 is read to its end, with %d names in it: a command for each ID",
    async (taken) => {
      const { conversation, log } = scriptedBmc((name, [id = 0]) =>
        name === "Get User Access" ? [63, 1, 1, 0] : nameBytes(id <= taken + 1 ? `user${id}` : ""),
      );
      const { slots } = await scanAccounts(conversation, 1);
      expect(slots.map(({ id }) => id)).toEqual(Array.from({ length: 62 }, (_, i) => i + 2));
      expect(log).toHaveLength(63);
    },
  );

  test("a busy BMC is waited for with less patience at the next ID, and with all of it once it has answered", async () => {
    const { conversation, log } = scanned({ 2: 0xc0, 3: 0xc3, 5: 0xc0 });
    await scanAccounts(conversation, 1);
    const asked = (id: number) => log.filter((each) => each === `Get User Name 0${id}`).length;
    expect([2, 3, 4, 5].map(asked)).toEqual([8, 3, 1, 8]);
  });

  test("the numbers are asked of another ID where a stray code refuses those of the first", async () => {
    const { conversation, log } = scriptedBmc((name, [, id]) => {
      if (name !== "Get User Access") return nameBytes("");
      return id === 1 ? 0x93 : [5, 1, 2, 0x0f];
    });
    expect(await scanAccounts(conversation, 1)).toMatchObject({ maxUserIds: 5, fixedNameCount: 2 });
    expect(log.slice(0, 2)).toEqual(["Get User Access 0101", "Get User Access 0102"]);
  });

  test("D4h, or a refusal of what every BMC has to know: locked", async () => {
    for (const code of [0xd4, 0xd5, 0xd6, 0xc1]) {
      await expect(scanAccounts(scanned({}, code).conversation, 1)).rejects.toThrow(InbandLockedError);
    }
    const { conversation } = scanned({ 2: 0xd4, 3: 0xd4 });
    await expect(scanAccounts(conversation, 1)).rejects.toThrow(/Get User Name.*KCS restricted/);
  });

  test("D4h for the name of one user ID: that one is unreadable", async () => {
    for (const id of [2, 3]) {
      const { slots } = await scanAccounts(scanned({ [id]: 0xd4 }).conversation, 1);
      expect(slots.filter(({ state }) => state === "unreadable").map((slot) => slot.id)).toEqual([id]);
    }
  });

  test("D4h once is a mood of a booting BMC", async () => {
    const { conversation } = scriptedBmc((name, [id], nth) => {
      if (nth === 1) return 0xd4;
      return name === "Get User Access" ? [3, 1, 1, 0] : nameBytes(`user${id}`);
    });
    const { slots } = await scanAccounts(conversation, 1);
    expect(slots.map(({ state }) => state)).toEqual(["named", "named"]);
  });

  test("without numbers of users nothing is presumed", async () => {
    await expect(scanAccounts(scanned({}, 0xcc).conversation, 1)).rejects.toThrow(CompletionCodeError);
  });

  test("0 user IDs say nothing: ten are looked at", async () => {
    expect((await scanAccounts(scanned({}, [0, 0, 0, 0]).conversation, 1)).slots).toHaveLength(9);
  });
});
