import { describe, expect, test } from "vitest";
import { NoFreeSlotError, planAccount } from "./plan-account.ts";
import type { AccountScan, Slot } from "./scan-accounts.ts";

const named = (id: number, name: string): Slot => ({ id, state: "named", name });
const free = (id: number): Slot => ({ id, state: "empty" });
const freeByCode = (id: number): Slot => ({ id, state: "empty", completionCode: 0xcc });
const unreadable = (id: number): Slot => ({ id, state: "unreadable", reason: "completion code FFh" });
const scan = (slots: readonly Slot[], fixedNameCount = 1): AccountScan => ({
  channel: 1,
  maxUserIds: slots.length + 1,
  fixedNameCount,
  slots,
});

describe("planAccount", () => {
  test("of several accounts of ours the one in use is replaced: beside a new one it would stay open", () => {
    const slots = [named(2, "riveta"), named(3, "rivetb"), named(4, "rivetc")];
    const names = ["riveta", "rivetb", "rivetc"];
    expect(planAccount(scan(slots), names, undefined, 3)).toMatchObject({ slot: 3, replaces: "rivetb" });
    expect(planAccount(scan(slots), names, 4, 3)).toMatchObject({ slot: 3, replaces: "rivetb" });
    expect(planAccount(scan(slots), names, undefined, 9)).toMatchObject({ slot: 2, replaces: "riveta" });
  });

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

  test("a name that the BMC tells as empty comes before a completion code, both before slot 2", () => {
    expect(planAccount(scan([free(2), freeByCode(3), free(4)]), []).slot).toBe(4);
    expect(planAccount(scan([free(2), freeByCode(3)]), []).slot).toBe(3);
    expect(planAccount(scan([freeByCode(2), named(3, "x")]), []).slot).toBe(2);
  });

  test("the slot that was asked for, if it is empty and its name can be changed", () => {
    const slots = [free(2), free(3), named(4, "ADMIN"), unreadable(5), freeByCode(6), free(7)];
    for (const slot of [3, 6, 7]) expect(planAccount(scan(slots, 2), [], slot).slot).toBe(slot);
    for (const slot of [2, 4, 5, 8, 63]) {
      expect(() => planAccount(scan(slots, 2), [], slot)).toThrow(`user ID ${slot} (user_slot) is not free`);
    }
  });

  test("the slot that was asked for, if an account of ours has it; else ours stays where it is, and that is told", () => {
    const slots = [free(2), named(3, "riveta"), named(4, "rivetb"), free(5)];
    expect(planAccount(scan(slots), ["riveta", "rivetb"], 4)).toMatchObject({ slot: 4, replaces: "rivetb" });
    expect(planAccount(scan(slots), ["riveta"], 5)).toEqual({
      slot: 3,
      replaces: "riveta",
      findings: ["Our account is in slot 3 and stays there; user_slot=5 is for a BMC that has none of ours."],
    });
  });

  test("no free slot: who sits where, as data too", () => {
    const full = scan([free(2), named(3, "ADMIN"), unreadable(4)], 2);
    const error = (() => {
      try {
        return planAccount(full, []);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(NoFreeSlotError);
    expect((error as NoFreeSlotError).occupants).toEqual([
      { slot: 2, holder: "fixed, without a name" },
      { slot: 3, holder: '"ADMIN"' },
      { slot: 4, holder: "unreadable (completion code FFh)" },
    ]);
    expect((error as NoFreeSlotError).message).toContain("rivet.user_slot=N");
  });
});
