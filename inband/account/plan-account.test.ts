import { describe, expect, test } from "vitest";
import { NoFreeSlotError, planAccount, SlotsUnreadableError } from "./plan-account.ts";
import type { AccountScan, Slot } from "./scan-accounts.ts";
import { shapedName } from "./shaped-name.fixture.ts";

const named = (id: number, name: string): Slot => ({ id, state: "named", name });
const free = (id: number): Slot => ({ id, state: "empty" });
const freeByCode = (id: number): Slot => ({ id, state: "empty", presumed: true });
const unreadable = (id: number): Slot => ({ id, state: "unreadable", reason: "completion code 93h" });
const busy = (id: number): Slot => ({ id, state: "unreadable", reason: "completion code C0h", mayPass: true });
const scan = (slots: readonly Slot[], fixedNameCount = 1): AccountScan => ({
  channel: 1,
  maxUserIds: slots.length + 1,
  fixedNameCount,
  slots,
});

const plan = (given: AccountScan, ourNames: readonly string[], userSlot?: number, ourSlot?: number) =>
  planAccount(given, { ourNames, ourSlot: ourSlot ?? "not expected", namePrefix: "rivet", userSlot });

describe("planAccount", () => {
  test("of several accounts of ours the one in use is replaced: beside a new one it would stay open", () => {
    const slots = [named(2, "riveta"), named(3, "rivetb"), named(4, "rivetc")];
    const names = ["riveta", "rivetb", "rivetc"];
    expect(plan(scan(slots), names, undefined, 3)).toMatchObject({ slot: 3, replaces: "rivetb" });
    expect(plan(scan(slots), names, 4, 3)).toMatchObject({ slot: 3, replaces: "rivetb" });
    expect(plan(scan(slots), names, undefined, 9)).toMatchObject({ slot: 2, replaces: "riveta" });
  });

  test("the first empty slot from 3 on", () => {
    expect(plan(scan([free(2), named(3, "x"), free(4), free(5)]), [])).toEqual({ slot: 4, former: [], findings: [] });
  });

  test("slot 2 only if nothing else is free", () => {
    expect(plan(scan([free(2), named(3, "x")]), []).slot).toBe(2);
  });

  test("slots with fixed names are not free", () => {
    expect(plan(scan([free(2), free(3), free(4), free(5)], 4), []).slot).toBe(5);
  });

  test("an account of ours is replaced where it is, also below an empty slot", () => {
    const planned = plan(scan([named(2, "ADMIN"), free(3), named(4, "rivetold")]), ["rivetold"]);
    expect(planned).toEqual({ slot: 4, replaces: "rivetold", former: [], findings: [] });
  });

  test("a name like ours that was never in escrow is somebody else's", () => {
    expect(plan(scan([named(2, "ADMIN"), named(3, "rivetother"), free(4)]), ["rivetold"]).slot).toBe(4);
  });

  test("more accounts of ours: the first is taken, the others are former", () => {
    const planned = plan(scan([free(2), named(3, "rivetb"), named(4, "riveta")]), ["riveta", "rivetb"]);
    expect(planned).toMatchObject({ slot: 3, replaces: "rivetb", former: [{ slot: 4, userName: "riveta" }] });
  });

  describe("a name of exactly our shape that the service does not know", () => {
    const [orphan, other] = [shapedName(1), shapedName(2)];

    test("is an orphan of ours: its slot is taken, or it is former", () => {
      const slots = [free(2), named(3, "ADMIN"), free(4), named(5, orphan), named(6, other)];
      const second = { slot: 6, userName: other };
      expect(plan(scan(slots), [])).toMatchObject({ slot: 5, replaces: orphan, former: [second] });
      const known = [...slots, named(7, "riveta")];
      const both = [{ slot: 5, userName: orphan }, second];
      expect(plan(scan(known), ["riveta"])).toMatchObject({ slot: 7, replaces: "riveta", former: both });
    });

    test("leaves the choice to the operator", () => {
      const slots = [free(2), named(3, orphan), free(4)];
      const planned = plan(scan(slots), [], 4);
      expect(planned).toEqual({ slot: 4, former: [{ slot: 3, userName: orphan }], findings: [] });
      expect(plan(scan(slots), [], 3)).toMatchObject({ slot: 3, replaces: orphan, former: [] });
    });

    test.each([
      "rivetsupervisor",
      "rivetoperator01",
      "rivetadmin12345",
      "rivetjoe",
      "riveter",
      "rivetlookalike1x",
      "rivetLookalike1",
      "rivet-lookalik1",
      "Rivet0a1b2c3d4e",
    ])("which %s has not: it is somebody else's", (name) => {
      expect(plan(scan([named(2, "ADMIN"), named(3, name), free(4)]), [])).toMatchObject({ slot: 4, former: [] });
      expect(() => plan(scan([named(2, "ADMIN"), named(3, name), free(4)]), [], 3)).toThrow(NoFreeSlotError);
    });

    test("does not count where its name cannot be changed, or where nobody may be taken for ours", () => {
      const slots = [named(2, orphan), named(3, "ADMIN"), free(4)];
      expect(plan(scan(slots, 2), [])).toMatchObject({ slot: 4, former: [] });
      const options = { ourNames: [], ourSlot: "not expected" } as const;
      expect(planAccount(scan(slots), options)).toMatchObject({ slot: 4, former: [] });
    });
  });

  test("nothing is free, but a busy BMC has not told all: that is for another run", () => {
    const slots = [named(2, "ADMIN"), busy(3), unreadable(4)];
    expect(() => plan(scan(slots), [])).toThrow(SlotsUnreadableError);
    expect(() => plan(scan(slots), [])).toThrow('2 "ADMIN", 3 unreadable (completion code C0h)');
    expect(() => plan(scan(slots), [], 3)).toThrow(SlotsUnreadableError);
    expect(() => plan(scan(slots), [], 4)).toThrow(NoFreeSlotError);
    expect(plan(scan([...slots, free(5)]), []).slot).toBe(5);
  });

  test("unreadable is not free, and told", () => {
    expect(plan(scan([free(2), unreadable(3), free(4)]), [])).toEqual({
      slot: 4,
      former: [],
      findings: ["The name in slot 3 could not be read: completion code 93h"],
    });
    expect(() => plan(scan([named(2, "ADMIN"), unreadable(3)]), [])).toThrow(NoFreeSlotError);
    expect(() => plan(scan([named(2, "ADMIN"), unreadable(3)]), [])).toThrow(
      '2 "ADMIN", 3 unreadable (completion code 93h). Accounts of others are never touched',
    );
  });

  test("a name that the BMC tells as empty comes before a completion code, both before slot 2", () => {
    expect(plan(scan([free(2), freeByCode(3), free(4)]), []).slot).toBe(4);
    expect(plan(scan([free(2), freeByCode(3)]), []).slot).toBe(3);
    expect(plan(scan([freeByCode(2), named(3, "x")]), []).slot).toBe(2);
  });

  test("the slot that was asked for, if it is empty and its name can be changed", () => {
    const slots = [free(2), free(3), named(4, "ADMIN"), unreadable(5), freeByCode(6), free(7)];
    for (const slot of [3, 6, 7]) expect(plan(scan(slots, 2), [], slot).slot).toBe(slot);
    for (const slot of [2, 4, 5]) {
      expect(() => plan(scan(slots, 2), [], slot)).toThrow(`user ID ${slot} (user_slot) is not free`);
    }
  });

  test("a slot that was asked for and that the BMC does not have is called so", () => {
    expect(() => plan(scan([named(2, "ADMIN"), free(3)]), [], 20)).toThrow(
      'the BMC has no user ID 20 (user_slot): 2 "ADMIN", 3 empty. Accounts of others are never touched: name an empty ID',
    );
  });

  test("the slot that was asked for, if an account of ours has it; else ours stays where it is, and that is told", () => {
    const slots = [free(2), named(3, "riveta"), named(4, "rivetb"), free(5)];
    expect(plan(scan(slots), ["riveta", "rivetb"], 4)).toMatchObject({ slot: 4, replaces: "rivetb" });
    expect(plan(scan(slots), ["riveta"], 5)).toEqual({
      slot: 3,
      replaces: "riveta",
      former: [],
      findings: ["Our account is in slot 3 and stays there; user_slot=5 is for a BMC that has none of ours."],
    });
  });

  test("no free slot: who sits where, as data too", () => {
    const full = scan([free(2), named(3, "ADMIN"), unreadable(4)], 2);
    const error = (() => {
      try {
        return plan(full, []);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(NoFreeSlotError);
    expect((error as NoFreeSlotError).occupants).toEqual([
      { slot: 2, holder: "fixed, without a name" },
      { slot: 3, holder: '"ADMIN"' },
      { slot: 4, holder: "unreadable (completion code 93h)" },
    ]);
    expect((error as NoFreeSlotError).message).toContain("rivet.user_slot=N");
  });
});
